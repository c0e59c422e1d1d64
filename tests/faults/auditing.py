"""Python that a forked run executes first: notes what no run has any business to do.

`AUDIT.replace("FOLDERS", repr([...]))`; what was seen stands in the first folder, in `seen`.
"""

from __future__ import annotations

AUDIT = r"""
import atexit, os, sys

sys.dont_write_bytecode = True
folders = [os.path.realpath(folder) for folder in FOLDERS]
allowed = (*folders[1:], "/dev/null", os.path.realpath(os.getcwd()) + "/runs")
known = set(sys.modules)
noted = os.open(os.path.join(folders[0], "seen"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
FORBIDDEN = {
    "pickle.find_class", "socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request",
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen",
}


def note(*words):
    os.write(noted, (" ".join(map(str, words)) + "\n").encode("utf-8", "backslashreplace"))


def watch(event, args):
    if event == "subprocess.Popen" and args[0] == "uname":
        return  # Python's own `platform` asks for the name of the processor so.
    if event in FORBIDDEN:
        frame = sys._getframe(1)
        note(event, args[:2], frame.f_code.co_filename, frame.f_lineno)
    elif event == "open" and isinstance(args[0], (str, bytes)):
        flags = args[2] if isinstance(args[2], int) else 0
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        path = os.path.realpath(os.fsdecode(args[0]))
        if writes and not path.startswith(allowed):
            note(event, path)
    elif event in ("os.rename", "os.remove", "os.mkdir", "os.symlink", "os.link"):
        for given in args[:2]:
            if isinstance(given, (str, bytes)):
                path = os.path.realpath(os.fsdecode(given))
                if not path.startswith(allowed):
                    note(event, path)


def imported():
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name not in known and isinstance(file, str):
            if os.path.realpath(file).startswith((*folders, os.path.realpath(os.getcwd()) + "/")):
                note("import", name, file)


atexit.register(imported)
sys.addaudithook(watch)
"""
