curl "$PUSHSERVER_URL/v1/tokens" -H "Authorization: Bearer $PUSHSERVER_KEY" \
  -H "Content-Type: application/json" -d '{"origin":"https://shop.example","types":["ticket.availability"],"ttl":"15m"}'
