//go:build linux

package faults

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// headOf returns the position of the newest event in a merchant's log, read from
// Redis. It is empty if the log never had an event.
func (tr *trial) headOf(merchant string) string {
	if tr.fixture.cluster == nil {
		return "" // a directory is new
	}
	key := logKey(merchant)
	newest, _ := tr.fixture.cluster.Master(key).Do("XREVRANGE", key, "+", "-", "COUNT", 1).([]any)
	if len(newest) == 0 {
		return ""
	}
	entry, _ := entryOf(newest[0])
	return entry.Position
}

// logOf returns what a merchant's log got during the trial. It reads Redis and not the
// program. Without Redis it reads the history by HTTP.
func (tr *trial) logOf(merchant string) []logged {
	t, after := tr.t, tr.heads[merchant]
	t.Helper()
	if tr.fixture.cluster == nil {
		return tr.historyOf(merchant)
	}
	const count = 500
	key := logKey(merchant)
	master := tr.fixture.cluster.Master(key)
	from := "-"
	if after != "" {
		from = "(" + redisName(after)
	}
	var all []logged
	for {
		entries, ok := master.Do("XRANGE", key, from, "+", "COUNT", count).([]any)
		if !ok {
			t.Fatalf("the log of %s cannot be read", merchant)
		}
		for _, e := range entries {
			entry, ok := entryOf(e)
			if !ok {
				t.Fatalf("the log of %s has the entry %v", merchant, e)
			}
			all = append(all, entry)
		}
		if len(entries) < count {
			return all
		}
		from = "(" + redisName(all[len(all)-1].Position)
	}
}

// redisName returns the name in Redis of the entry at a position: the tag is
// stored in the entry.
func redisName(position string) string { return position[:len(position)-len("-00000")] }

// entryOf reads an entry as XRANGE answers it.
func entryOf(reply any) (logged, bool) {
	pair, _ := reply.([]any)
	if len(pair) != 2 {
		return logged{}, false
	}
	name, _ := pair[0].(string)
	fields, _ := pair[1].([]any)
	values := make(map[string]string)
	for i := 0; i+1 < len(fields); i += 2 {
		field, _ := fields[i].(string)
		value, _ := fields[i+1].(string)
		values[field] = value
	}
	data := json.RawMessage(values["d"])
	length, attributes, _ := strings.Cut(values["a"], ":") // the first attribute is the event's id
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 || n > len(attributes) {
		return logged{}, false
	}
	return logged{Position: name + "-" + values["r"], ID: attributes[:n], Sum: sumOf(data)}, name != "" && len(values["r"]) == 5
}

// historyOf reads a merchant's log by GET /v1/events.
func (tr *trial) historyOf(merchant string) []logged {
	tr.t.Helper()
	var all []logged
	for after := ""; ; {
		address := "http://" + tr.instances[0].address + "/v1/events?limit=1000"
		if after != "" {
			address += "&after=" + after
		}
		req, err := http.NewRequestWithContext(tr.ctx, http.MethodGet, address, nil)
		if err != nil {
			tr.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+tr.fixture.keys[merchant])
		resp, err := tr.instances[0].client.Do(req)
		if err != nil {
			tr.t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		var page struct {
			Events []struct {
				ID   string
				Data struct {
					ID   string
					Data json.RawMessage
				}
			}
			Cursor string
			More   bool
		}
		if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal(body, &page) != nil {
			tr.t.Fatalf("the history of %s is answered with %d %.200s (%v)", merchant, resp.StatusCode, body, err)
		}
		for _, e := range page.Events {
			all = append(all, logged{Position: e.ID, ID: e.Data.ID, Sum: sumOf(e.Data.Data)})
		}
		if !page.More {
			return all
		}
		after = page.Cursor
	}
}
