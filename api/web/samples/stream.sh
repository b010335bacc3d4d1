curl -N "$PUSHSERVER_URL/v1/stream" -H "Authorization: Bearer $PUSHSERVER_KEY"
