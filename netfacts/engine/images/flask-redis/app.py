"""A page that counts its visits in Redis: the application of the notes, for Python 3."""

import os
import socket

from flask import Flask
from redis import Redis

app = Flask(__name__)
redis = Redis(host=os.environ.get("REDIS_HOST", "127.0.0.1"), port=6379)


@app.route("/")
def hello():
    redis.incr("hits")
    return "%s-----%s" % (redis.get("hits").decode(), socket.gethostname())


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=5000)
