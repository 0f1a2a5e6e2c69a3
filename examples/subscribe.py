#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the alerts of a uaswatch feed; says when messages were lost or the feed is silent."""
import json
import sys
import time

import zmq

socket = zmq.Context().socket(zmq.SUB)
socket.subscribe("v1.alert.")
socket.subscribe("v1.health.")  # the sign of life, each second
socket.connect(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5580")

highest = {}  # (type, site, node) -> (run, highest seq)
heard, silent = time.monotonic(), False
while True:
    if not socket.poll(500):
        if not silent and time.monotonic() - heard > 3:
            silent = True
            print("SILENT: nothing heard for 3 s, the feed has stopped", flush=True)
        continue
    topic, body = socket.recv_multipart()[:2]
    message = json.loads(body)
    if silent:
        print("the feed is back", flush=True)
    heard, silent = time.monotonic(), False
    key = message["type"], message["site"], message["node"]
    run, seq = highest.get(key, (None, 0))
    if run == message["run"]:
        if message["seq"] <= seq:
            continue  # repeated for somebody who came late
        if message["seq"] > seq + 1:
            print(f"LOST: {message['seq'] - seq - 1} of {message['type']}", flush=True)
    highest[key] = message["run"], message["seq"]
    if message["type"] == "alert":
        mark = "EXERCISE " if message["exercise"] else ""
        print(f"{message['time']} {mark}{message['severity']} {message['event']}: "
              f"{message['headline']}", flush=True)
