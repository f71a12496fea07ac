# SPDX-License-Identifier: MIT
"""WQL, as much of it as is documented for SELECT and ASSOCIATORS OF: anything else is a syntax error."""
import re

from classes import CLASSES

_token = re.compile(r"""\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<word>[A-Za-z_]\w*)|(?P<number>-?\d+)"""
                    r"""|(?P<sign><>|<=|>=|!=|[()=<>*{}.,]))""")


class Bad(Exception):
    pass


def _split(text):
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _token.match(text, at)
        if not match:
            raise Bad(f'at {text[at:at + 20]!r}')
        tokens.append((match.lastgroup, match.group(match.lastgroup)))
        at = match.end()
    return tokens


def _unquote(text):
    return re.sub(r'\\(.)', r'\1', text[1:-1], flags=re.S)


def _pattern(like):
    out, at = '', 0
    while at < len(like):
        char = like[at]
        if char == '[':
            end = like.find(']', at + 2)
            if end < 0:
                raise Bad('a [ that does not end')
            inside = like[at + 1:end]
            out += '[' + ('^' if inside[0] == '^' and len(inside) > 1 else '') \
                + re.sub(r'([][\\^])', r'\\\1', inside.lstrip('^') or inside) + ']'
            at = end
        else:
            out += '.*' if char == '%' else '.' if char == '_' else re.escape(char)
        at += 1
    return re.compile(out + r'\Z', re.I | re.S)


class Query:
    """class_name, and matches(instance); for ASSOCIATORS OF also `source` = (class, key, value)."""

    def __init__(self, text):
        self.tokens = _split(text)
        self.source = None
        if self._word() == 'select':
            self._select()
        elif self._word() == 'associators':
            self._associators()
        else:
            raise Bad('neither SELECT nor ASSOCIATORS OF')

    def _word(self):
        return self.tokens[0][1].lower() if self.tokens and self.tokens[0][0] == 'word' else None

    def _take(self, *wanted):
        if not self.tokens:
            raise Bad('it ends too early')
        kind, value = self.tokens.pop(0)
        if wanted and value.lower() not in wanted and kind not in wanted:
            raise Bad(f'{value!r} instead of {wanted}')
        return value

    def _class(self):
        name = self._take('word')
        if name not in CLASSES:
            raise KeyError(name)
        return name

    def _select(self):
        self._take('select')
        self._take('*')
        self._take('from')
        self.class_name = self._class()
        self.matches = lambda instance: True
        self.filtered = bool(self.tokens)
        if self.tokens:
            self._take('where')
            self.matches = self._either()
            if self.tokens:
                raise Bad(f'at {self.tokens[0][1]!r}')

    def _associators(self):
        for word in ('associators', 'of', '{'):
            self._take(word)
        class_name = self._class()
        self._take('.')
        key = self._take('word')
        self._take('=')
        self.source = (class_name, key, _unquote(self._take('text')))
        for word in ('}', 'where', 'assocclass', '='):
            self._take(word)
        self.association = self._take('word')
        for word in ('resultclass', '='):
            self._take(word)
        self.class_name = self._class()
        self.matches = lambda instance: True
        self.filtered = True
        if self.tokens or key not in CLASSES[class_name].keys:
            raise Bad('what is associated')

    def _either(self):
        parts = [self._both()]
        while self._word() == 'or':
            self._take('or')
            parts.append(self._both())
        return lambda instance: any(part(instance) for part in parts)

    def _both(self):
        parts = [self._one()]
        while self._word() == 'and':
            self._take('and')
            parts.append(self._one())
        return lambda instance: all(part(instance) for part in parts)

    def _one(self):
        if self.tokens and self.tokens[0][1] == '(':
            self._take('(')
            inner = self._either()
            self._take(')')
            return inner
        name = self._take('word')
        if name not in CLASSES[self.class_name].properties:
            raise Bad(f'{self.class_name} has no {name}')
        if self._word() == 'like':
            self._take('like')
            pattern = _pattern(_unquote(self._take('text')))
            return lambda instance: bool(pattern.match(str(instance.get(name) or '')))
        self._take('=')
        kind, value = self.tokens[0] if self.tokens else (None, None)
        self._take('text', 'number', 'word')
        value = _unquote(value) if kind == 'text' else value
        return lambda instance: str(instance.get(name)).lower() == value.lower()
