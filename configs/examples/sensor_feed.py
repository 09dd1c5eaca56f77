#!/usr/bin/env python3
"""A plain kafka-python program that feeds `./dev run sensor`: ten minutes of a room that grows too warm and cools down
again, with timestamps that end now, in a moment.

    pip install kafka-python
    configs/examples/sensor_feed.py [HOST:PORT]
"""
import json
import math
import random
import sys
import time

from kafka import KafkaProducer

address = sys.argv[1] if len(sys.argv) > 1 else "localhost:9092"
producer = KafkaProducer(bootstrap_servers=address)
roll = random.Random(1)
now = int(time.time() * 1000)
for second in range(600):
    warmth = {"attic": 21 + 5 * math.sin(second / 600 * 2 * math.pi), "cellar": 19.5}
    for sensor, celsius in warmth.items():
        value = json.dumps({"celsius": round(celsius + roll.gauss(0, 0.4), 2)})
        producer.send("sensor", key=sensor.encode(), value=value.encode(), timestamp_ms=now - (600 - second) * 1000)
producer.flush()
print("sent 1200 readings of 2 sensors")
