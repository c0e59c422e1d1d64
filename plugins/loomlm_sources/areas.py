"""Which area of Python's library reference a module belongs to: the labels of `python_docs`.

The areas are the sections of https://docs.python.org/3/library/. Those with too few docstrings to
learn from, or to be judged by, stand with a neighbour:

- data types: also text processing and binary data (`re`, `difflib`, `codecs`);
- files: file and directory access, persistence, compression and file formats;
- operating system: also the command line and Unix;
- development: also debugging and profiling, and packaging, which lost distutils in 3.12;
- runtime: also custom interpreters and language services (`ast`, `dis`);
- graphical interfaces: also turtle, which draws with Tk.

A private module stands where the public one does that it is a part of. Modules of cryptography,
internationalization, multimedia and functional programming have no area: they have few docstrings,
fewer files, and no neighbour that they resemble. Nor has `encodings`, whose files are tables with
one sentence between them.
"""

from __future__ import annotations

_MODULES = {
    "data types": """
        _collections_abc _pydatetime _strptime bisect calendar codecs collections copy datetime
        difflib enum graphlib heapq pprint re reprlib string stringprep textwrap types weakref
        zoneinfo
    """,
    "numbers": "_pydecimal _pylong decimal fractions numbers random statistics",
    "files": """
        _compression bz2 compression configparser copyreg csv dbm filecmp fileinput fnmatch
        genericpath glob gzip linecache lzma netrc ntpath pathlib pickle plistlib posixpath shelve
        shutil sqlite3 stat tarfile tempfile tomllib xdrlib zipfile
    """,
    "operating system": """
        _pyio argparse cmd ctypes curses getopt getpass io logging optparse os pipes platform pty
        shlex tty
    """,
    "concurrency": """
        _threading_local concurrent multiprocessing queue sched subprocess threading
    """,
    "networking": "asynchat asyncio asyncore selectors signal socket ssl",
    "internet data": "base64 email json mailbox mailcap mimetypes quopri uu",
    "markup": "_markupbase html xml",
    "internet protocols": """
        cgi cgitb ftplib http imaplib ipaddress nntplib nturl2path poplib smtpd smtplib
        socketserver telnetlib urllib uuid webbrowser wsgiref xmlrpc
    """,
    "graphical interfaces": "idlelib tkinter turtle turtledemo",
    "development": """
        bdb cProfile distutils doctest ensurepip lib2to3 pdb profile pstats pydoc timeit trace
        tracemalloc typing unittest venv zipapp
    """,
    "runtime": """
        _py_abc _sitebuiltins abc ast code codeop compileall contextlib dataclasses dis inspect
        keyword opcode pickletools py_compile pyclbr site symtable sysconfig tabnanny token
        tokenize traceback warnings
    """,
    "importing": "imp importlib modulefinder pkgutil runpy zipimport",
}

AREAS = {module: area for area, modules in _MODULES.items() for module in modules.split()}


def area_of(module: str) -> str | None:
    """The area of a module, by its top-level package: of `xml.dom.minidom` that of `xml`."""
    return AREAS.get(module.partition(".")[0])
