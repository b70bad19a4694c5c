"""The same calls with Google's grpcio, without generated code. Run it with: python3 grpcio_client.py localhost:50051"""

import sys

import grpc


def main(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        print(channel.unary_unary("/demo.Demo/Hello")(b"Jane"))
        for answer in channel.stream_stream("/demo.Demo/Shout")(iter([b"a", b"b"])):
            print(answer)


if __name__ == "__main__":
    main(sys.argv[1])
