// Command publish publishes one event.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/paylogic/pushserver/api/client"
)

func main() {
	c := client.Client{URL: os.Getenv("PUSHSERVER_URL"), Key: os.Getenv("PUSHSERVER_PUBLISHER_KEY")}
	receipt, err := c.Publish(context.Background(), client.Publication{
		Merchant: "acme", Type: "payment.made", ID: "order-9933-paid", Data: []byte(`{"amount":4200}`),
	})
	if err != nil {
		fmt.Println("not published:", err)
		return
	}
	fmt.Println("published at", receipt.Position)
}
