#!/usr/bin/env python3
"""A made traffic feed for `./dev run traffic`: an hour of it, with timestamps that end now, in a few seconds.

    pip install kafka-python
    configs/examples/traffic_feed.py [HOST:PORT]
"""
import json
import random
import sys
import time

from kafka import KafkaProducer

address = sys.argv[1] if len(sys.argv) > 1 else "localhost:9092"
producer = KafkaProducer(bootstrap_servers=address, value_serializer=lambda value: json.dumps(value).encode())
roll = random.Random(1)
usual = {"A1": 115, "A9": 98, "B2": 62, "B14": 54}
now = int(time.time() * 1000)
sent = 0
for second in range(3600):
    for road, speed in usual.items():
        if roll.random() < 0.4:
            continue
        jam = 0.3 if road == "A9" and 1200 < second < 2100 else 1
        reading = {"speed": round(max(roll.gauss(speed * jam, 9), 3), 1), "class": "truck" if roll.random() < 0.2 else "car"}
        # Readings come up to eight seconds late.
        at = now - (3600 - second) * 1000 - roll.randrange(8000)
        producer.send("traffic", key=road.encode(), value=reading, timestamp_ms=at)
        sent += 1
producer.flush()
print(f"sent {sent} readings of {len(usual)} roads")
