#!/usr/bin/python3
"""has-consumers.py SECONDS QUEUE…: exits with 0 as soon as each of RabbitMQ's queues has a consumer, with 1 when that is not
so after that many seconds.

It waits by itself, because it starts as slowly as what is waited for: asked again and again, it would take the
processor from it. Needs RABBIT_HOST, RABBIT_USERID and RABBIT_PASSWORD in the environment. It speaks AMQP, as the consumers do:
rabbitmqctl starts an Erlang machine for every question.
"""
import os
import sys
import time

import amqp


def consumers(connection, queue):
    channel = connection.channel()
    try:
        found = channel.queue_declare(queue, passive=True).consumer_count
        channel.close()
        return found
    except amqp.exceptions.NotFound:  # The broker closes the channel for it.
        return 0


def main(seconds, queues):
    deadline = time.monotonic() + seconds
    try:
        with amqp.Connection(os.environ["RABBIT_HOST"] + ":5672", os.environ["RABBIT_USERID"],
                             os.environ["RABBIT_PASSWORD"], connect_timeout=5) as connection:
            while not all(consumers(connection, queue) for queue in queues):
                if time.monotonic() >= deadline:
                    return 1
                time.sleep(0.2)
            return 0
    except OSError as error:
        print(f"has-consumers: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
