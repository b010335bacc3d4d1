import json, os
from redis.cluster import RedisCluster  # pip install redis

inbox = RedisCluster(host=os.environ["REDIS_HOST"], port=int(os.environ["REDIS_PORT"]))
inbox.xadd("ps:inbox", {"merchant": "acme", "type": "payment.made", "id": "order-9935-paid", "data": json.dumps({"amount": 4200})})
