// Command stream prints the events of a feed.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/paylogic/pushserver/api/client"
)

func main() {
	c := client.Client{URL: os.Getenv("PUSHSERVER_URL"), Key: os.Getenv("PUSHSERVER_KEY")}
	feed := client.Feed{Types: []string{"payment.*"}, After: os.Getenv("POSITION")}
	err := c.Stream(context.Background(), feed, func(e client.Event) error {
		fmt.Println(e.Position, e.Type, string(e.Data))
		return nil // an error ends the stream
	})
	fmt.Println("the stream ended:", err)
}
