curl "$PUSHSERVER_URL/v1/events" -H "Authorization: Bearer $PUSHSERVER_PUBLISHER_KEY" \
  -H "Content-Type: application/json" \
  -d '{"merchant":"acme","type":"payment.made","id":"order-9931-paid","subject":"order/9931","data":{"amount":4200}}'
