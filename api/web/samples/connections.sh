curl "$PUSHSERVER_URL/v1/connections" -H "Authorization: Bearer $PUSHSERVER_KEY"
