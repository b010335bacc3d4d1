curl -N -G "$PUSHSERVER_URL/v1/stream" -H "Authorization: Bearer $PUSHSERVER_KEY" \
  --data-urlencode 'types=payment.*' --data-urlencode 'filter=data.amount >= 1000'
