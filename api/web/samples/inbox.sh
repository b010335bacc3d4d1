redis-cli -c -h "$REDIS_HOST" -p "$REDIS_PORT" XADD ps:inbox '*' merchant acme type payment.made id order-9934-paid data '{"amount":4200}'
