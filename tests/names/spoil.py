# SPDX-License-Identifier: MIT
"""spoil.py PROGRAM COPY SEED: what runs stays as it is; what debuggers read becomes nonsense."""
import random
import struct
import sys

data = bytearray(open(sys.argv[1], "rb").read())
seed = int(sys.argv[3])
rng = random.Random(seed)
offset, = struct.unpack_from("<Q", data, 40)
size, count, names = struct.unpack_from("<HHH", data, 58)
heads = [list(struct.unpack_from("<IIQQQQIIQQ", data, offset + i * size)) for i in range(count)]
text = heads[names][4]


def name(head):
    return bytes(data[text + head[0]:data.index(b"\0", text + head[0])]).decode()


for number, head in enumerate(heads):
    what, begin, length = name(head), head[4], head[5]
    if seed == 1 and number != names and head[1] in (2, 3, 11):  # tables of symbols and their texts
        head[5] = 1 << 60
    elif seed == 2 and what.startswith(".debug"):
        head[4] = len(data) - 8
    elif seed == 3 and what.startswith(".debug"):
        data[begin:begin + length] = rng.randbytes(length)
    elif seed == 4 and what == ".debug_abbrev":  # each abbreviation is the first one
        data[begin:begin + length] = bytes([1, 0x11, 1, 0x16, 0x16, 0, 0] * (length // 7 + 1))[:length]
    elif seed == 5 and what == ".debug_info":
        for _ in range(length // 16):
            data[begin + 12 + rng.randrange(length - 12)] = rng.choice([0, 1, 0x7f, 0x80, 0xff])
    elif seed == 6 and what == ".symtab":  # names behind the end, addresses everywhere
        data[begin:begin + length] = rng.randbytes(length)
    struct.pack_into("<IIQQQQIIQQ", data, offset + number * size, *head)
open(sys.argv[2], "wb").write(data)
