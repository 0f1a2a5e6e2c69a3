# SPDX-License-Identifier: GPL-3.0-or-later
"""A server of the rtl_tcp protocol that behaves, dies, hangs or lies, as it is told while it runs."""
import random
import socket
import struct
import threading
import time

CHUNK = 32768  # bytes
HEADER = b"RTL0" + struct.pack(">II", 5, 29)
NAMES = {1: "freq", 2: "rate", 3: "gain_mode", 4: "gain", 5: "ppm", 8: "agc", 9: "direct",
         10: "offset", 14: "bias_tee"}


def noise(sigma=12, seed=1, n=1 << 20):
    """Noise in cu8; a shift register would repeat, Python's generator does not."""
    rng = random.Random(seed)
    table = bytes(min(255, max(0, round(127.5 + rng.gauss(0, sigma)))) for _ in range(4096))
    raw = rng.randbytes(2 * n)
    return bytes(table[(raw[2 * i] | raw[2 * i + 1] << 8) & 4095] for i in range(n))


LOUD = bytes(random.Random(2).choice((0, 0, 0, 128, 255, 255, 255)) for _ in range(4 * CHUNK))
DEAF = bytes(random.Random(3).choice((127, 128)) for _ in range(4 * CHUNK))


class Peer:
    """One client at a time, as rtl_tcp. Modes, for the present client and those that come:

    ok                samples at the rate asked for (times `speed`)
    refuse            no port to connect to
    mute, half, magic no header, half of one, another protocol's
    hang_up, reset    ends the connection, politely or not
    stall             no more samples, the connection stays
    trickle           a few bytes a second
    """

    def __init__(self, samples=None, mode="ok"):
        self.mode = mode
        self.speed = 1.0
        self.drop = 0  # bytes to be lost
        self.pause = 0.0  # seconds for which the network holds everything back
        self.samples = self.well = samples or noise()
        self.set = {"rate": 2048000}
        self.n_clients = 0
        self.error = None
        self.listener = None
        self.port = 0
        self.stopped = False
        self._listen()
        self.thread = threading.Thread(target=self._main, daemon=True)
        self.thread.start()

    def _listen(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(4)
        self.listener.settimeout(0.05)
        self.port = self.listener.getsockname()[1]

    def stop(self):
        self.stopped = True
        self.thread.join(5)
        if self.listener:
            self.listener.close()

    def _main(self):
        while not self.stopped:
            if self.mode == "refuse":
                if self.listener:
                    self.listener.close()
                    self.listener = None
                time.sleep(0.02)
                continue
            try:
                if not self.listener:
                    self._listen()
                client, _ = self.listener.accept()
            except socket.timeout:
                continue
            except OSError as e:
                self.error = e
                time.sleep(0.05)
                continue
            self.n_clients += 1
            with client:
                try:
                    self._serve(client)
                except OSError:
                    pass  # it has gone

    def _serve(self, client):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.settimeout(1)
        mode = self.mode
        if mode == "magic":
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n")
        elif mode == "half":
            client.sendall(HEADER[:7])
        elif mode not in ("mute", "hang_up", "reset", "refuse"):
            client.sendall(HEADER)
            self._stream(client)
        while self.mode in ("mute", "half", "stall") and not self.stopped:
            time.sleep(0.02)
        if self.mode == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _commands(self, client, buffer):
        client.setblocking(False)
        try:
            got = client.recv(4096)
            if not got:
                raise OSError("gone")
            buffer += got
        except BlockingIOError:
            pass
        finally:
            client.settimeout(1)
        changed = False
        while len(buffer) >= 5:
            command, value = struct.unpack(">BI", bytes(buffer[:5]))
            del buffer[:5]
            name = NAMES.get(command, str(command))
            changed |= name == "rate" and self.set.get("rate") != value
            self.set[name] = value
        return changed

    def _stream(self, client):
        begun, due, at, commands = time.monotonic(), 0.0, 0, bytearray()
        trickled = begun
        while self.mode in ("ok", "trickle") and not self.stopped:
            if self._commands(client, commands):
                begun, due = time.monotonic(), 0.0
            if self.pause:
                time.sleep(self.pause)
                self.pause = 0.0
            now = time.monotonic()
            if self.mode == "trickle":
                if now - trickled > 0.25:
                    client.sendall(self.samples[:16])
                    trickled = now
                begun, due = now, 0.0
                time.sleep(0.02)
                continue
            chunk = CHUNK / (2 * self.set["rate"] * self.speed)
            if now - begun < due + chunk:
                time.sleep(max(0.0, min(0.02, begun + due + chunk - now)))
                continue
            due += chunk
            at = (at + CHUNK) % (len(self.samples) - CHUNK)
            at -= at % 2
            if self.drop > 0:
                self.drop -= CHUNK
            else:
                client.sendall(self.samples[at:at + CHUNK])
