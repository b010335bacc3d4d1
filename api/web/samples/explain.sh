curl "$PUSHSERVER_URL/v1/explain" -H "Authorization: Bearer $PUSHSERVER_KEY" \
  -H "Content-Type: application/json" -d '{"event":{"type":"payment.made","data":{"amount":4200}}}'
