redis-cli -h "$REDIS_HOST" -p "$REDIS_PORT" PUBLISH mychannel '["myevent", {"message": "Hello!"}]'
