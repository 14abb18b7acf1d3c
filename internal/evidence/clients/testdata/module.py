"""Looks at the client of this repository without running it: its syntax is that of Python 3.9, every import is of the standard
library, and every public name has types that can be read. It prints what is wrong."""

import ast
import sys
import typing

path = "../../../../clients/python"
with open(path + "/oncegate.py") as file:
    tree = ast.parse(file.read(), feature_version=(3, 9))
for node in ast.walk(tree):
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module] if isinstance(node, ast.ImportFrom) else []
    for name in names:
        if name.split(".")[0] not in sys.stdlib_module_names:
            print("imports", name)
    if isinstance(node, ast.FunctionDef):
        given = node.args.args + node.args.kwonlyargs
        if node.returns is None or any(a.annotation is None for a in given if a.arg != "self"):
            print("has no types:", node.name)

sys.path.insert(0, path)
import oncegate

for name in oncegate.__all__:
    typing.get_type_hints(getattr(oncegate, name))
