curl "$PUSHSERVER_URL/v1/test/events" -H "Authorization: Bearer $PUSHSERVER_TEST_KEY" \
  -H "Content-Type: application/json" -d '{"type":"payment.failed"}'
