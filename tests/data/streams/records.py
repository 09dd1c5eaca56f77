#!/usr/bin/env python3
"""Writes late.tsv and orderly.tsv: key, value, timestamp of records for windows and joins. Three keys; time goes on in
steps of a few seconds, stands still and jumps; a third comes out of order, up to 5 s in orderly.tsv, in late.tsv up to 20 s
and now and then minutes."""
import os
import random


def write(name, seed, disorder_ms, is_late):
    roll = random.Random(seed)
    now = 1_700_000_000_000
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), "w") as out:
        for i in range(400):
            if roll.random() < 0.02:
                now += 150_000
            if roll.random() < 0.8:
                now += roll.randrange(5_000)
            at = now
            if roll.random() < 0.3:
                at -= roll.randrange(disorder_ms)
            if is_late and roll.random() < 0.08:
                at -= roll.randrange(200_000)
            print(f"k{roll.randrange(3)}\t{roll.choice('LR')}{i}\t{at}", file=out)
        print(f"k0\tL400\t{now + 1_000_000}", file=out)  # closes all windows


write("late.tsv", 20261130, 20_000, True)
write("orderly.tsv", 20261201, 5_000, False)
