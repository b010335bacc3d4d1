curl "$PUSHSERVER_URL/v1/events?after=$POSITION&limit=100" -H "Authorization: Bearer $PUSHSERVER_KEY"
