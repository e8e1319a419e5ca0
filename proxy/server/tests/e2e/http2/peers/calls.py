"""A service and a client of gRPC, as they come.

Prints the port of the service, reads how to get to the proxy in front of it from stdin, and prints a line for each
check that held. Messages are bytes: no code has to be generated for them.
"""

import queue
import sys
import threading
import time
from concurrent import futures

import grpc

SERVICE = "test.Calls"
begun = queue.Queue()
left = queue.Queue()


def unary(message, context):
    context.set_trailing_metadata((("x-after", "all"),))
    return message


def fail(message, context):
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now: \u00e4")


def hang(message, context):
    over = threading.Event()
    context.add_callback(over.set)
    begun.put(message)
    if over.wait(10):
        left.put(message)
    return message


def count(message, context):
    for n in range(int(message)):
        yield b"%d" % n


def total(messages, context):
    return b"%d" % sum(len(message) for message in messages)


def echo(messages, context):
    yield from messages


def service(files):
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "Hang": grpc.unary_unary_rpc_method_handler(hang),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Total": grpc.stream_unary_rpc_method_handler(total),
        "Echo": grpc.stream_stream_rpc_method_handler(echo),
    }
    server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    if files:
        key, chain = (open(name, "rb").read() for name in files)
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, chain)]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def channel(address, roots):
    options = [("grpc.max_receive_message_length", -1), ("grpc.enable_retries", 0)]
    if not roots:
        options.append(("grpc.default_authority", "a.test"))
        return grpc.insecure_channel(address, options)
    options.append(("grpc.ssl_target_name_override", "a.test"))
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(open(roots, "rb").read()), options)


def refused(call, *arguments, **more):
    try:
        call(*arguments, **more)
    except grpc.RpcError as error:
        return error
    raise AssertionError("it was answered")


def held(name, condition, what=""):
    assert condition, f"{name}: {what}"
    print("held:", name, flush=True)


def check(stub):
    unary_call = stub.unary_unary(f"/{SERVICE}/Unary")
    answer, call = unary_call.with_call(b"hello", timeout=10)
    held("a call", answer == b"hello" and call.code() == grpc.StatusCode.OK)
    held("metadata", ("x-after", "all") in [tuple(pair) for pair in call.trailing_metadata()])
    held("an empty message", unary_call(b"", timeout=10) == b"")
    large = b"x" * (3 << 20)
    held("a large message", unary_call(large, timeout=20) == large)
    error = refused(stub.unary_unary(f"/{SERVICE}/Fail"), b"", timeout=10)
    held("a status", error.code() == grpc.StatusCode.FAILED_PRECONDITION and error.details() == "not now: \u00e4")
    error = refused(stub.unary_unary(f"/{SERVICE}/None"), b"", timeout=10)
    held("no such method", error.code() == grpc.StatusCode.UNIMPLEMENTED)
    answers = [int(n) for n in stub.unary_stream(f"/{SERVICE}/Count")(b"1000", timeout=10)]
    held("a stream back", answers == list(range(1000)))
    parts = (b"y" * 1000 for _ in range(500))
    held("a stream there", stub.stream_unary(f"/{SERVICE}/Total")(parts, timeout=10) == b"500000")

    said = threading.Semaphore(1)

    def one_by_one():
        for n in range(50):
            said.acquire(timeout=10)
            yield b"%d" % n

    answers = []
    for message in stub.stream_stream(f"/{SERVICE}/Echo")(one_by_one(), timeout=20):
        answers.append(int(message))
        said.release()
    held("both ways, one by one", answers == list(range(50)))

    began = time.monotonic()
    error = refused(stub.unary_unary(f"/{SERVICE}/Hang"), b"late", timeout=0.5)
    held("a deadline", error.code() == grpc.StatusCode.DEADLINE_EXCEEDED and time.monotonic() - began < 5)
    held("the service hears of it", left.get(timeout=10) == b"late")
    call = stub.unary_unary(f"/{SERVICE}/Hang").future(b"gone", timeout=10)
    while begun.get(timeout=10) != b"gone":
        pass
    call.cancel()
    held("the service hears of a client that leaves", left.get(timeout=10) == b"gone")


def check_refusals(stub):
    unary_call = stub.unary_unary(f"/{SERVICE}/Unary")
    error = refused(unary_call, b"x" * 200_000, timeout=10)
    held("too large", error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error)
    codes = set()
    for _ in range(30):
        try:
            unary_call(b"x", timeout=10)
            codes.add(grpc.StatusCode.OK)
        except grpc.RpcError as error:
            codes.add(error.code())
            metadata = dict(error.trailing_metadata())
    held("too many", codes == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}, codes)
    held("and when to come back", int(metadata["retry-after"]) > 0, metadata)


def main():
    server, port = service(sys.argv[1:])
    print("port:", port, flush=True)
    for line in sys.stdin:
        kind, address, *roots = line.split()
        with channel(address, roots[0] if roots else None) as stub:
            {"check": check, "refusals": check_refusals}[kind](stub)
        print("done", flush=True)
    server.stop(0)


main()
