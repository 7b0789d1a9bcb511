#!/usr/bin/env python3
"""Restores a disk from a store by doc/FORMAT.md alone: read_store.py STORE HOST ID DISK_NUMBER OUTPUT

A second reader, written from the page and not from the code. It needs the program zstd and shares nothing with the rest.
Every sum and every rule that the page names is checked; the first that does not hold ends it with a sentence.
"""
import hashlib
import json
import os
import struct
import subprocess
import sys

WINDOW = 64 << 20


def need(ok, sentence):
    if not ok:
        sys.exit("read_store: " + sentence)


def unzstd(body):
    return subprocess.run(["zstd", "-d", "-q", "-c"], input=body, stdout=subprocess.PIPE, check=True).stdout


def read_index(path, name):
    """Yields (chunk name, path, offset of the body, body_bytes, plain_bytes, method)."""
    data = open(path, "rb").read()
    need(len(data) >= 128, path + " is too short")
    footer = data[-96:]
    pack_id, index_offset, n, version, plain_sum, index_sum, check, magic = struct.unpack("<16sQIIQ32s16s8s", footer)
    need(magic == b"G4LPKEND" and hashlib.sha256(footer[:72]).digest()[:16] == check, path + " has a damaged footer")
    need(version == 1, path + " has another version")
    need(pack_id.hex() == name, path + " is not what its name says")
    need(data[:32] == struct.pack("<8sII16s", b"G4LPACK\0", 1, 0, pack_id), path + " has a damaged header")
    need(index_offset + 48 * n + 96 == len(data), path + " has a footer that does not fit")
    index = data[index_offset:-96]
    need(hashlib.sha256(index).digest() == index_sum, path + " has a damaged index")
    at = 32
    for i in range(n):
        chunk, offset, body, plain, method, zero = struct.unpack_from("<32sIIIB3s", index, 48 * i)
        need(offset == at and zero == b"\0\0\0", path + " has an index with gaps")
        need(data[at:at + 44] == struct.pack("<32sIIB3x", chunk, plain, body, method), path + " has a wrong frame")
        at += 44 + body
        plain_sum -= plain
        yield chunk, path, offset + 44, body, plain, method
    need(at == index_offset and plain_sum == 0, path + " has an index that does not cover its frames")


def read_packs(store):
    chunks = {}
    for folder, _, files in os.walk(os.path.join(store, "packs")):
        for name in files:
            for entry in read_index(os.path.join(folder, name), name):
                chunks[entry[0]] = entry[1:]
    return chunks


def fetch(chunks, name):
    need(name in chunks, "chunk " + name.hex() + " is missing")
    path, offset, body_bytes, plain_bytes, method = chunks[name]
    with open(path, "rb") as f:
        f.seek(offset)
        body = f.read(body_bytes)
    plain = unzstd(body) if method == 1 else body
    need(len(plain) == plain_bytes and hashlib.sha256(plain).digest() == name, "chunk " + name.hex() + " is damaged")
    return plain


def read_snapshot(store, host, snapshot):
    data = open(os.path.join(store, "snapshots", host, snapshot), "rb").read()
    magic, version, method, json_bytes, body_bytes, zero, check = struct.unpack_from("<8sHHII12s32s", data)
    need(magic == b"G4LSNAPS" and version == 1 and zero == bytes(12), "not a snapshot that can be read")
    need(hashlib.sha256(data[:32] + data[64:]).digest() == check, "the snapshot is damaged")
    need(len(data) == 64 + body_bytes, "the snapshot has another length than it says")
    need(hashlib.sha256(data).hexdigest()[:32] == snapshot, "the snapshot is not what its name says")
    text = unzstd(data[64:]) if method == 1 else data[64:]
    need(len(text) == json_bytes, "the snapshot unpacks to another length")
    return json.loads(text)


def write_segment(chunks, segment, window, out, disk_bytes):
    magic, version, zero, own_window, n_chunks, n_extents = struct.unpack_from("<4sHHQII", segment)
    need(magic == b"G4RS" and version == 1 and zero == 0 and own_window == window, "a segment is damaged")
    need(len(segment) == 24 + 36 * n_chunks + 16 * n_extents, "a segment has another length than it says")
    names = [struct.unpack_from("<32sI", segment, 24 + 36 * i) for i in range(n_chunks)]
    content = {}
    for i in range(n_extents):
        offset, length, chunk, at = struct.unpack_from("<IIII", segment, 24 + 36 * n_chunks + 16 * i)
        need(window * WINDOW + offset + length <= disk_bytes, "an extent leaves the disk")
        out.seek(window * WINDOW + offset)
        if chunk == 0xFFFFFFFF:
            out.write(bytes(length))
            continue
        if chunk not in content:
            content[chunk] = fetch(chunks, names[chunk][0])
            need(len(content[chunk]) == names[chunk][1], "a chunk has another size than its segment says")
        need(at + length <= len(content[chunk]), "an extent leaves its chunk")
        out.write(content[chunk][at:at + length])


def main():
    need(len(sys.argv) == 6, __doc__)
    store, host, snapshot, number, output = sys.argv[1:]
    config = open(os.path.join(store, "config"), "rb").read()
    need(len(config) == 96 and config[:16] == struct.pack("<8sII", b"G4LSTORE", 1, 0), "not a store that can be read")
    need(hashlib.sha256(config[:64]).digest() == config[64:], "the store's config is damaged")
    chunks = read_packs(store)
    disk = read_snapshot(store, host, snapshot)["disks"][int(number)]
    with open(output, "wb") as out:
        out.truncate(disk["size_bytes"])
        for name in disk["roots"]:
            root = fetch(chunks, bytes.fromhex(name))
            magic, version, zero, n, zero2 = struct.unpack_from("<4sHHII", root)
            need(magic == b"G4RR" and version == 1 and zero == zero2 == 0, "a root is damaged")
            need(len(root) == 16 + 40 * n, "a root has another length than it says")
            for i in range(n):
                window, segment = struct.unpack_from("<Q32s", root, 16 + 40 * i)
                write_segment(chunks, fetch(chunks, segment), window, out, disk["size_bytes"])


main()
