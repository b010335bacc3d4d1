// A stand-in for the fallback of jquery.eventsource, which no package has: it needs
// responses that end, reads only lines that begin with "data: ", and hears unnamed
// events alone.
window.pollEventSource = function ({ url, message }) {
  let id = "";
  const ask = () => {
    const request = new XMLHttpRequest();
    request.open("GET", url + (id ? `&lastEventId=${id}` : ""), true);
    request.timeout = 50000;
    request.onload = () => {
      for (const block of request.responseText.split("\n\n")) {
        const lines = block.split("\n");
        const data = lines.filter((l) => l.startsWith("data: ")).map((l) => l.slice(6));
        id = lines.find((l) => l.startsWith("id: "))?.slice(4) ?? id;
        if (data.length && !lines.some((l) => l.startsWith("event:"))) message(data.join("\n"));
      }
      setTimeout(ask, 100);
    };
    request.onerror = request.ontimeout = () => setTimeout(ask, 500);
    request.send();
  };
  ask();
};
