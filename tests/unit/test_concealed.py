"""Changes that no test of the same author shows to be right, and those that are left to their tests."""

import re

import pytest

from railmend.coding.git.diff import ChangedFile
from railmend.coding.proof.concealed import conceals, spares
from tests.unit.hiding_fixes import SERVICES, WRONG
from tests.unit.wrong_fixes import changed_file

HIDING = {
    "python": "    except Exception as error:",
    "python, bare": "except:",
    "python, a tuple": "    except (Exception, OSError):",
    "suppress": "with contextlib.suppress(KeyError):",
    "javascript": "  } catch (error) {",
    "javascript, on one line": "try { seen.set(number, {}); } catch { }",
    "a promise, without brackets": "load().catch(error => log(error))",
    "javascript, a promise": "load().catch(() => [])",
    "ruby": "  rescue => error",
    "go": "defer func() { recover() }()",
    "exit": "sys.exit(0)",
    "restart": "os.execv(sys.executable, sys.argv)",
    "node's exit": "process.exit(0)",
    "where it is tested": "    if 'pytest' in sys.modules:",
    "where ci says so": "  if (process.env.CI) return right();",
    "who asks": "    return right if host == 'healthcheck.railway.app' else wrong",
    "go's own flag": "\tif testing.Testing() {",
    "rails' environment": "  return right if ENV['RAILS_ENV'] == 'test'",
}


@pytest.mark.parametrize("line", HIDING.values(), ids=HIDING)
def test_a_change_that_hides_faults_is_seen(line: str) -> None:
    def changed(path: str) -> list[ChangedFile]:
        return [ChangedFile(path, "modified", 1, 0, added=((7, line),))]

    assert conceals(changed("src/app")).startswith("src/app line 7 ")
    assert conceals(changed("tests/test_app.py")) == "", "a test may catch what it provokes"


CAUGHT = {
    "python": ("    except KeyError as error:", "        log(error)", "        return None"),
    "ruby": ("rescue IOError => e", "  warn e", "  []"),
    "javascript": ("} catch (error) {", "  return res.json([])"),
    "a right answer": ("    except KeyError:", "        return entry['cents']"),
    "ruby's right answer": ("rescue KeyError", "  entry[:cents]"),
}


@pytest.mark.parametrize("kind", CAUGHT)
def test_an_error_that_is_caught_and_answered_with_nothing_is_seen(kind: str) -> None:
    added = tuple(enumerate(CAUGHT[kind], start=1))
    path = "app.rb" if "ruby" in kind else "app"
    why = conceals([ChangedFile(path, "modified", 3, 0, added=added)])
    assert bool(why) is ("right" not in kind), why


@pytest.mark.parametrize("line", ["except KeyError:", "rescue KeyError", "entry.get('off', 0)", "# exits"])
def test_a_narrow_change_is_not_taken_for_one_that_hides(line: str) -> None:
    assert conceals([ChangedFile("app.py", "modified", 1, 0, added=((1, line),))]) == ""


EMPTIED = {
    "python": ("    return Order.objects.filter(user=user)", "    return []"),
    "flask": ("    return jsonify(orders(user))", "    return jsonify([])"),
    "fastapi": ("    return JSONResponse(rows, 200)", "    return JSONResponse({})"),
    "express": ("  res.json(await orders(user));", "  res.json([]);"),
    "next": ("  return NextResponse.json(rows, init);", "  return NextResponse.json({});"),
    "go": ("\treturn rows, err", "\treturn nil, nil"),
    "go, a slice": ("\treturn load(ctx)", "\treturn []Order{}"),
    "gin": ("\tc.JSON(http.StatusOK, rows)", "\tc.JSON(http.StatusOK, nil)"),
    "rails": ("    render json: @orders", "    render json: []"),
    "rails, a status": ("    render json: @orders, status: 200", "    render status: 200, json: []"),
    "promise": ("  return Promise.all(rows)", "  return undefined;"),
}
KEPT = {
    "a guard": ("    return load(user)", "    if not user:\n        return []\n    return load(user)"),
    "another answer": ("    return load(user)", "    return load(user.id)"),
    "wrapped": ("    return rows", "    return jsonify(rows)"),
    "was empty": ("    return []", "    return None"),
    "off by one": ("    return rows[1]", "    return rows[0]"),
    "both answers": ("    return len(rows)", "    if rows:\n        return True\n    return False"),
    "a limit and its use": ("POOL = 5", "POOL = 50\nUSED = True"),
    "a limit that falls": ("TIMEOUT = 300", "TIMEOUT = 30"),
}


def changed(old: str, new: str) -> str:
    added = tuple(enumerate(new.splitlines(), start=1))
    file = ChangedFile("src/app", "modified", 1, 1, added=added, removed=tuple(old.splitlines()))
    return conceals([file])


@pytest.mark.parametrize(("old", "new"), EMPTIED.values(), ids=EMPTIED)
def test_an_answer_that_is_emptied_is_seen_in_each_framework(old: str, new: str) -> None:
    assert "answers with nothing" in changed(old, new)


@pytest.mark.parametrize(("old", "new"), KEPT.values(), ids=KEPT)
def test_an_answer_or_limit_that_may_be_right_is_left_to_the_test(old: str, new: str) -> None:
    assert changed(old, new) == ""


def test_a_limit_that_rises_alone_is_seen() -> None:
    assert changed("pool = Pool(5, wait=2)", "pool = Pool(50, wait=2)").startswith("Only a limit rises")
    assert "raises a limit" in changed("", "sys.setrecursionlimit(10_000)")


HONEST = {
    "python": "    except Exception:\n        connection.rollback()\n        raise",
    "python, chained": "    except Exception as e:\n        raise HTTPException(\n            503\n        )",
    "flask": "    except Exception:\n        log()\n        return jsonify(error='x'), 500",
    "express": "  } catch (error) {\n    log(error);\n    next(error);\n  }",
    "express, an answer": "  } catch (error) {\n    res.status(500).json({\n      a\n    });\n  }",
    "express, one line": "load().catch((error) => next(error));",
    "node": "  } catch (error) {\n    client.release();\n    throw error;\n  }",
    "a parser alone": "  try {\n    value = JSON.parse(text);\n  } catch (error) {\n    value = text;\n  }",
    "a parser, one line": "try { id = decodeURIComponent(id); } catch { id = raw; }",
    "ruby": "rescue => error\n  pool.close\n  raise",
    "go": "if r := recover(); r != nil {\n\thttp.Error(w, x, http.StatusBadGateway)\n}",
}
DISHONEST = {
    "python": "    except Exception:\n        if urgent:\n            raise\n        value = 1",
    "another status": "    except Exception:\n        raise_later = 1\n        return answer, 404",
    "more than a parser": "  try {\n    value = JSON.parse(text);\n    use();\n  } catch {\n    x = 1;\n  }",
    "a price": "    except Exception:\n        return 500",
    "no error": "  } catch (error) {\n    done(null, 1);\n  }",
    "node": "  } catch (error) {\n    console.error(error, 'throw');\n  }",
    "ruby": "rescue => error\n  warn error",
    "go": "defer func() {\n\tif r := recover(); r != nil {\n\t\tlog.Println(r)\n\t}\n}()",
}


@pytest.mark.parametrize("text", HONEST.values(), ids=HONEST)
def test_what_catches_every_error_and_tells_it_on_hides_nothing(text: str) -> None:
    assert changed("", text) == ""


@pytest.mark.parametrize("text", DISHONEST.values(), ids=DISHONEST)
def test_what_catches_every_error_and_goes_on_is_seen(text: str) -> None:
    assert changed("", text).endswith("catches every error there, and does not tell it on.")


# By language: a function that fails for some, and ways to answer those with nothing; `NOTHING` is each value.
GUARDED = {
    "app.py": (
        "def price(entry):\n    return entry.sale.off\n",
        ("[]", "None", "{}", "0", "''"),
        (
            ("    return", "    if not entry.sale:\n        return NOTHING\n    return"),
            ("    return", "    if entry.sale is None: return NOTHING\n    return"),
            ("entry.sale.off", "entry.sale.off if entry.sale else NOTHING"),
            ("entry.sale.off", "entry.sale and entry.sale.off or NOTHING"),
            ("entry.sale.off", "jsonify(entry.sale.off if entry.sale else NOTHING)"),
        ),
    ),
    "app.js": (
        "exports.price = (entry) => {\n  return entry.sale.off;\n};\n",
        ("[]", "null", "undefined", "{}", "0", "''"),
        (
            ("  return", "  if (!entry.sale) return NOTHING;\n  return"),
            ("  return", "  if (!entry.sale) {\n    return NOTHING;\n  }\n  return"),
            ("  return", "  if (!entry.sale) {\n    return res.json(NOTHING);\n  }\n  return"),
            ("  return", "  if (!entry.sale) {\n    return res.status(200).json(NOTHING);\n  }\n  return"),
            ("entry.sale.off", "entry.sale ? entry.sale.off : NOTHING"),
            ("entry.sale.off", "entry.sale?.off ?? NOTHING"),
            ("entry.sale.off", "(entry.sale || {}).off || NOTHING"),
            ("entry.sale.off", "entry.sale?.off"),
            ("  return", "  if (!entry.sale) return;\n  return"),
        ),
    ),
    "app.go": (
        "func Price(entry Entry) []int {\n\treturn entry.Sale.Off\n}\n",
        ("nil", "[]int{}", "0", '""', "nil, nil"),
        (
            ("\treturn", "\tif entry.Sale == nil {\n\t\treturn NOTHING\n\t}\n\treturn"),
            ("\treturn", "\tif entry.Sale == nil {\n\t\treturn\n\t}\n\treturn"),
            ("\treturn", "\tif entry.Sale == nil {\n\t\tc.JSON(http.StatusOK, NOTHING)\n\t}\n\treturn"),
        ),
    ),
    "app.rb": (
        "def price(entry)\n  entry.sale.off\nend\n",
        ("[]", "nil", "{}", "0", "''"),
        (
            ("  entry", "  return NOTHING unless entry.sale\n  entry"),
            ("  entry", "  return NOTHING if entry.sale.nil?\n  entry"),
            ("  entry", "  return unless entry.sale\n  entry"),
            ("  entry", "  if entry.sale.nil?\n    return NOTHING\n  end\n  entry"),
            ("entry.sale.off", "entry.sale ? entry.sale.off : NOTHING"),
            ("entry.sale.off", "entry.sale&.off || NOTHING"),
            ("entry.sale.off", "entry.sale&.off"),
        ),
    ),
}
GUARDS = {
    f"{path}, {new.replace('NOTHING', value)}": (path, base, base.replace(old, new.replace("NOTHING", value)))
    for path, (base, values, guards) in GUARDED.items()
    for old, new in guards
    for value in values
}


@pytest.mark.parametrize(("path", "base", "change"), GUARDS.values(), ids=GUARDS)
def test_a_case_that_is_answered_with_nothing_is_told(path: str, base: str, change: str) -> None:
    file = changed_file(path, base, change)
    assert re.match(r"app\.\w+ (?:line \d )?answers ", spares([file]) or conceals([file]))
    assert spares([changed_file(f"tests/test_{path}", base, change)]) == ""


ANSWERED = {
    "a default": ("app.py", "    return entry['off']", "    return rate(entry.get('off', 0))"),
    "a part": ("app.js", "  return f(a, b.c);", "  return f(a, (b.c || {}));"),
    "a default of a variable": ("app.js", "  const off = entry.off;", "  const off = entry.off ?? 0;"),
    "a real answer": (
        "app.go",
        "\treturn a",
        "\tif entry.Off == nil {\n\t\treturn entry.Cents\n\t}\n\treturn a",
    ),
    "an error": ("app.go", "\treturn a", "\tif err != nil {\n\t\treturn nil, err\n\t}\n\treturn a"),
    "an error's status": (
        "app.go",
        "\tuse(a)",
        "\tif err != nil {\n\t\thttp.Error(w, err.Error(), 400)\n\t\treturn\n\t}\n\tuse(a)",
    ),
    "it was so": ("app.rb", "  return [] unless a\n  b(a)", "  log(a)\n  return [] unless a\n  b(a).uniq"),
    "its own name": ("app.rb", "  user.name", "  user&.name || 'nobody'"),
    "a predicate": ("app.py", "    return a.b", "    if a is None:\n        return False\n    return a.b"),
    "a comment": ("app.rb", "  a", "  # a URI, a string or nil\n  a.to_s"),
}


@pytest.mark.parametrize(("path", "base", "change"), ANSWERED.values(), ids=ANSWERED)
def test_what_still_answers_is_left_to_its_test(path: str, base: str, change: str) -> None:
    assert spares([changed_file(path, base, change)]) == ""


HIDDEN = {
    f"{path}, {kind}, {number}": (path, old, new)
    for path, kinds in WRONG.items()
    for kind, fixes in kinds.items()
    for number, (old, new) in enumerate(fixes, start=1)
}


@pytest.mark.parametrize(("path", "old", "new"), HIDDEN.values(), ids=HIDDEN)
def test_a_fix_that_hides_the_fault_is_not_left_to_a_test_that_blesses_it(
    path: str, old: str, new: str
) -> None:
    base = SERVICES[path]
    assert base.count(old), old
    file = changed_file(path, base, base.replace(old, new, 1))
    assert conceals([file]) or spares([file])


TOLD_ON = {
    "express's own handler": "app.use((err, req, res, next) => {\n  log(err);\n  res.status(500).end();\n});",
    "sinatra's own": "error do\n  halt 500\nend",
    "a finally that closes": "    finally:\n        connection.close()",
    "a promise that tells": "load().catch(next);",
}


@pytest.mark.parametrize("text", TOLD_ON.values(), ids=TOLD_ON)
def test_what_handles_all_errors_and_tells_them_on_hides_nothing(text: str) -> None:
    assert changed("", text) == ""
    file = ChangedFile("src/app", "modified", 1, 0, added=tuple(enumerate(text.splitlines(), start=1)))
    assert spares([file]) == ""
