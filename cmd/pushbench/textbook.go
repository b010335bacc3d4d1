//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
)

// textbookCommand serves as most would write it: net/http, and for each request
// a channel and the goroutine that empties it.
type textbookCommand struct{}

// Run serves until ctx is done.
func (*textbookCommand) Run(ctx context.Context) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	h := &textbookHub{groups: make(map[string]map[chan string]bool)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/stream", h.stream)
	mux.HandleFunc("POST /v1/events", h.publish)
	server := &http.Server{Handler: mux}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

type textbookHub struct {
	mu     sync.RWMutex // guards groups
	groups map[string]map[chan string]bool
}

func (h *textbookHub) stream(w http.ResponseWriter, r *http.Request) {
	group := r.URL.Query().Get("subject")
	events := make(chan string, 64)
	h.mu.Lock()
	if h.groups[group] == nil {
		h.groups[group] = make(map[chan string]bool)
	}
	h.groups[group][events] = true
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.groups[group], events)
		h.mu.Unlock()
	}()

	w.Header().Set("Content-Type", "text/event-stream")
	flusher := w.(http.Flusher)
	io.WriteString(w, opening)
	flusher.Flush()
	for {
		select {
		case event := <-events:
			fmt.Fprintf(w, "id: %s\nevent: %s\ndata: %s\n\n", referenceID, eventType, event)
			flusher.Flush()
		case <-r.Context().Done():
			return
		}
	}
}

func (h *textbookHub) publish(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	event := string(body)
	h.mu.RLock()
	for events := range h.groups[string(subjectOf(body))] {
		select {
		case events <- event:
		default: // too slow: this one goes without
		}
	}
	h.mu.RUnlock()
	w.WriteHeader(http.StatusCreated)
}
