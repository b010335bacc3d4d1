// Command inbox publishes one event through Redis.
package main

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/redis/go-redis/v9"
)

func main() {
	inbox := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{net.JoinHostPort(os.Getenv("REDIS_HOST"), os.Getenv("REDIS_PORT"))}})
	defer inbox.Close()
	id, err := inbox.XAdd(context.Background(), &redis.XAddArgs{Stream: "ps:inbox", Values: []any{
		"merchant", "acme", "type", "payment.made", "id", "order-9937-paid", "data", `{"amount":4200}`,
	}}).Result()
	if err != nil {
		fmt.Println("not published:", err)
		return
	}
	fmt.Println("in the inbox as", id)
}
