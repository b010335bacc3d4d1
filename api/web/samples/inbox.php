<?php // with the extension phpredis
$inbox = new RedisCluster(null, [getenv("REDIS_HOST") . ":" . getenv("REDIS_PORT")]);
$inbox->xAdd("ps:inbox", "*", ["merchant" => "acme", "type" => "payment.made", "id" => "order-9936-paid", "data" => json_encode(["amount" => 4200])]);
