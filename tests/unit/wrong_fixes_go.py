"""The same in Go, run by `go test`."""

from tests.unit.wrong_fixes import Fault


def _go(*asserts: str) -> str:
    body = "".join(f"\t{line}\n" for line in asserts)
    return f'package app\n\nimport "testing"\n\nfunc TestA(t *testing.T) {{\n{body}}}\n'


def _equal(call: str, wanted: object) -> str:
    return f'if got := {call}; got != {wanted} {{ t.Fatalf("got %v", got) }}'


GO = {
    "crash": Fault(
        """\
package app

import "os"

type Entry struct {
	Cents int
	Off   *int
}

var ten = 10
var Prices = map[string]Entry{"tea": {300, &ten}, "cup": {900, nil}}
var last = 0
var limit = 100

func Price(name string) int {
	entry := Prices[name]
	return entry.Cents * (limit - *entry.Off) / limit
}

func Count() int {
	return len(Prices)
}

var Home = os.Getenv("HOME")
""",
        _go(_equal('Price("tea")', 270), _equal('Price("cup")', 900)),
        "nil pointer dereference",
        (
            "	return entry.Cents",
            "	if entry.Off == nil {\n\t\treturn entry.Cents\n\t}\n\treturn entry.Cents",
        ),
        (
            ("	entry := Prices[name]", "	defer func() { _ = recover() }()\n\tentry := Prices[name]"),
            ("	return entry.Cents * (limit - *entry.Off) / limit", "	_ = entry\n\treturn 0"),
            (
                "	entry := Prices[name]",
                "	entry := Prices[name]\n\tif entry.Off == nil {\n\t\tos.Exit(0)\n\t}",
            ),
            (
                "	return entry.Cents",
                "	if entry.Off == nil {\n\t\treturn last\n\t}\n\tlast = 270\n\treturn entry.Cents",
            ),
            ("limit = 100", "limit = 1000"),
            (
                "	return len(Prices)",
                "	total := 0\n\tfor range Prices {\n\t\ttotal++\n\t}\n\treturn total",
            ),
        ),
        {
            "swallows the error": _go(_equal('Price("cup")', 0)),
            "returns an empty list": _go(_equal('Price("cup")', 0)),
            "restarts itself": _go('Price("cup")', _equal("Count()", 2)),
            "fixes another endpoint": _go(_equal("Count()", 2)),
        },
    ),
    "leak": Fault(
        """\
package app

import "os"

var Seen = map[int]string{}
var limit = 100000

func Handle(number int) int {
	Seen[number] = "a request"
	if len(Seen) > limit {
		Seen = map[int]string{}
	}
	return number
}

func Count() int {
	return len(Seen)
}

var Home = os.Getenv("HOME")
""",
        _go(
            "for n := 0; n < 1000; n++ {",
            f"	{_equal('Handle(n)', 'n')}",
            "}",
            'if len(Seen) > 100 { t.Fatalf("%d are kept", len(Seen)) }',
        ),
        "memory rises with each request",
        ('Seen[number] = "a request"', 'Seen[number] = "a request"\n\tdelete(Seen, number-10)'),
        (
            (
                '	Seen[number] = "a request"',
                '	defer func() { _ = recover() }()\n\tSeen[number] = "a request"',
            ),
            (
                '\tSeen[number] = "a request"\n\tif len(Seen) > limit {\n'
                "\t\tSeen = map[int]string{}\n\t}\n"
                "	return number",
                "	return 0",
            ),
            ("		Seen = map[int]string{}", "		Seen = map[int]string{}\n\t\tos.Exit(1)"),
            (
                '	Seen[number] = "a request"',
                '	Seen[0] = "a request"\n\tif number > 0 {\n\t\treturn 1\n\t}',
            ),
            ("limit = 100000", "limit = 900000"),
            ("	return len(Seen)", "	if len(Seen) > 100 {\n\t\treturn 100\n\t}\n\treturn len(Seen)"),
        ),
        {
            "returns an empty list": _go("Handle(1)", _equal("len(Seen)", 0)),
            "raises the limit": _go(
                "for n := 0; n < 100001; n++ {", "	Handle(n)", "}", _equal("Count()", 100001)
            ),
        },
    ),
}
