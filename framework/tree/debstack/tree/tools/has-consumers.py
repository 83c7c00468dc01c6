#!/usr/bin/python3
"""has-consumers.py QUEUE…: exits with 0 when each of RabbitMQ's queues has a consumer, else with 1.

Needs RABBIT_HOST, RABBIT_USERID and RABBIT_PASSWORD in the environment. It speaks AMQP, as the consumers do:
rabbitmqctl starts an Erlang machine for every question.
"""
import os
import sys

import amqp


def consumers(connection, queue):
    channel = connection.channel()
    try:
        return channel.queue_declare(queue, passive=True).consumer_count
    except amqp.exceptions.NotFound:  # The broker closes the channel for it.
        return 0


def main(queues):
    try:
        with amqp.Connection(os.environ["RABBIT_HOST"] + ":5672", os.environ["RABBIT_USERID"],
                             os.environ["RABBIT_PASSWORD"], connect_timeout=5) as connection:
            return 0 if all(consumers(connection, queue) for queue in queues) else 1
    except OSError as error:
        print(f"has-consumers: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
