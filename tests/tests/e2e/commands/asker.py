#!/usr/bin/python3
# Speaks to the daemon as svcauth-shell does: ask.py LINE asks and prints what kind of answer comes, 2 for a program, 3 for a
# refusal. With a second word the connection is made by a process that has ended when the question is sent, and that word is
# a file to wait for.
import os, socket, struct, sys, time

KINDS = {1: "shell", 2: "program", 3: "refused", 4: "not-managed", 5: "resumed"}

def text(value):
    return struct.pack("<I", len(value)) + value

def question(line, resume=None):
    body = b"\x01\x01" + text(line) + b"\x00\x01"
    body += b"\x00" if resume is None else b"\x01" + text(resume)
    return struct.pack("<I", len(body)) + body

def answer(connection):
    data = b""
    while len(data) < 4 or len(data) < 4 + struct.unpack("<I", data[:4])[0]:
        part = connection.recv(65536)
        if not part:
            return "closed"
        data += part
    return KINDS.get(data[4], "unknown")

def connect():
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect("/run/svcauth/command.sock")
    connection.settimeout(15)
    return connection

line = os.fsencode(sys.argv[1]).replace(b"%00", b"\x00")
if len(sys.argv) < 3:
    connection = connect()
    connection.sendall(question(line))
    print(answer(connection))
elif sys.argv[2].startswith("resume="):
    connection = connect()
    name = sys.argv[2][7:].replace("OWN", os.environ.get("SVCAUTH_SESSION", ""))
    connection.sendall(question(line, name.encode()))
    print(answer(connection))
elif sys.argv[2] == "garbage":
    connection = connect()
    connection.sendall(struct.pack("<I", 0x7FFFFFFF) + b"x" * 100)
    print(answer(connection))
elif sys.argv[2] == "silent":
    connection = connect()
    print("connected", flush=True)
    time.sleep(60)
else:
    # The connection belongs to a process that is no more; its number is told, and may be somebody else's by now.
    connection = connect()
    first = os.getpid()
    if os.fork():
        os._exit(0)
    # As long as it is the name of a session, nobody gets the number.
    os.setsid()
    with open(sys.argv[2] + ".pid", "w") as file:
        file.write(str(first))
    while not os.path.exists(sys.argv[2]):
        time.sleep(0.01)
    try:
        connection.sendall(question(line))
        said = answer(connection)
    except OSError as error:
        said = "closed" if isinstance(error, (BrokenPipeError, ConnectionResetError)) else str(error)
    with open(sys.argv[2] + ".answer", "w") as file:
        file.write(said)
