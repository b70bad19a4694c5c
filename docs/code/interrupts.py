import trio
from hello_server import main

if __name__ == "__main__":
    try:
        trio.run(main)
    except* KeyboardInterrupt:
        pass
