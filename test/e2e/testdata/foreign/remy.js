// A stand-in for the first polyfill of EventSource, which no package has: it reads
// what each chunk brings and keeps nothing of a block that is not whole, reads only
// lines that begin with "data: ", and asks anew every 50 s.
window.EventSource = function (url) {
  const source = this;
  const listeners = {};
  let id = "";
  this.addEventListener = (type, take) => { (listeners[type] ??= []).push(take); };
  const ask = () => {
    const request = new XMLHttpRequest();
    let read = 0;
    request.open("GET", url, true);
    request.setRequestHeader("Cache-Control", "no-cache");
    request.setRequestHeader("X-Requested-With", "XMLHttpRequest");
    if (id) request.setRequestHeader("Last-Event-ID", id);
    request.onreadystatechange = () => {
      if (request.readyState < 3) return;
      const chunk = request.responseText.slice(read);
      read = request.responseText.length;
      for (const block of chunk.split("\n\n")) {
        let type = "message";
        const data = [];
        for (const line of block.split("\n")) {
          if (line.startsWith("data: ")) data.push(line.slice(6));
          if (line.startsWith("event: ")) type = line.slice(7);
          if (line.startsWith("id: ")) id = line.slice(4);
        }
        if (!data.length) continue;
        const event = { type, data: data.join("\n"), lastEventId: id };
        (listeners[type] ?? []).forEach((take) => take(event));
        if (type === "message") source.onmessage?.(event);
      }
      if (request.readyState === 4) setTimeout(ask, 500);
    };
    request.send();
    setTimeout(() => request.abort(), 50000);
  };
  ask();
};
