"""The changes that `tests/mutants.py` makes: each is a mistake that someone could make in one place.

Texts, annotations and what stands in a message of an error are left as they are.
"""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any"}
_DELETED = (ast.Expr, ast.AugAssign, ast.Raise, ast.Delete)


@dataclass(frozen=True)
class Mutant:
    """The source of a file with one change."""

    path: str
    lines: range
    before: str
    after: str
    source: str
    at_import: bool
    constant: str
    """The name that a module gives to a value with the change; empty if the change is elsewhere."""

    def __str__(self) -> str:
        return f"{self.path}:{self.lines.start}: {self.before} -> {self.after}"


def mutants_of(source: str, path: str) -> list[Mutant]:
    """Returns every change of a file, in the order of its places."""
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    module = ast.parse(source)
    constants = _constants(module)
    found = []
    for node, changed, at_import in _changes(module, at_import=True):
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        raw = source.encode()
        after = ast.unparse(changed)
        written = f"({after})" if isinstance(changed, ast.expr) else after
        mutated = (raw[:begin] + written.encode() + raw[end:]).decode()
        before = " ".join(raw[begin:end].decode().split())
        span = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        found.append(Mutant(path, span, before, after, mutated, at_import, constants.get(node.lineno, "")))
    return found


def _constants(module: ast.Module) -> dict[int, str]:
    """Returns the lines of a module that assign to a name, with the name."""
    names = {}
    for statement in module.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                last = statement.end_lineno or statement.lineno
                names.update(dict.fromkeys(range(statement.lineno, last + 1), name))
    return names


Change = tuple[ast.expr | ast.stmt, ast.expr | ast.stmt, bool]


def _changes(node: ast.AST, at_import: bool) -> Iterator[Change]:
    """Yields nodes with what stands in their place in a mutant, and whether they run at import."""
    if isinstance(node, ast.stmt):
        for statement in _statements(node):
            yield node, statement, at_import
    if isinstance(node, ast.expr):
        for expression in _expressions(node):
            yield node, expression, at_import
    for condition in _conditions(node):
        yield condition, ast.UnaryOp(ast.Not(), condition), at_import
    if isinstance(node, (ast.JoinedStr, ast.Raise)):
        return
    if isinstance(node, ast.keyword) and node.arg == "strict":  # of `zip`: an assertion
        return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        inside = at_import and not (
            name == "body" and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        )
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _changes(child, inside)


def _conditions(node: ast.AST) -> Iterator[ast.expr]:
    """Yields what a node branches on, but for comparisons and negations, which have changes of their own."""
    match node:
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            conditions = [test]
        case ast.comprehension(ifs=conditions):
            pass
        case _:
            return
    yield from (one for one in conditions if not isinstance(one, (ast.Compare, ast.UnaryOp, ast.Constant)))


def _statements(node: ast.stmt) -> Iterator[ast.stmt]:
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    on_object = isinstance(node, ast.Assign) and isinstance(node.targets[0], (ast.Attribute, ast.Subscript))
    if (isinstance(node, _DELETED) and not docstring) or on_object:
        yield ast.Pass()
    if isinstance(node, ast.Return) and node.value and ast.unparse(node.value) != "None":
        yield ast.Return(ast.Constant(None))
    if isinstance(node, ast.Continue):
        yield ast.Break()
    if isinstance(node, ast.Break):
        yield ast.Continue()


def _expressions(node: ast.expr) -> Iterator[ast.expr]:
    changed = copy.deepcopy(node)
    match changed:
        case ast.Compare(ops=operators):
            for place, operator in enumerate(operators):
                one = copy.deepcopy(node)
                assert isinstance(one, ast.Compare)
                one.ops[place] = _COMPARISONS[type(operator)]()
                yield one
        case ast.BoolOp(op=ast.And()):
            changed.op = ast.Or()
            yield changed
        case ast.BoolOp(op=ast.Or()):
            changed.op = ast.And()
            yield changed
        case ast.UnaryOp(op=ast.Not()):
            yield changed.operand
        case ast.BinOp(op=old) if type(old) in _OPERATORS and not _is_type(node):
            changed.op = _OPERATORS[type(old)]()
            yield changed
        case ast.Call(func=ast.Name(id=name)) if name in _FUNCTIONS:
            changed.func = ast.Name(_FUNCTIONS[name])
            yield changed
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1)
            if value not in (0, 1):
                yield ast.Constant(value * 10)


def _is_type(node: ast.expr) -> bool:
    """Returns whether an expression is a type such as `int | None`."""
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and "None" in ast.unparse(node)
