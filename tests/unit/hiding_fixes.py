"""Services with a failing line, and wrong fixes of it by kind: what is replaced, by what."""

# ruff: noqa: E501

SERVICES = {
    "app.py": """\
@app.route('/orders')
def orders(user):
    rows = load(user)
    total = 0
    for row in rows:
        total += row["cents"] * row["off"]
    if total > LIMIT:
        abort(500)
    seen.append(user)
    return jsonify(total=total, rows=rows)
""",
    "app.js": """\
app.get('/orders', async (req, res) => {
  let rows = await load(req.user);
  let total = 0;
  for (const row of rows) {
    total += row.cents * row.sale.off;
  }
  if (total > LIMIT) {
    return res.status(500).json({ error: 'broken' });
  }
  seen.push(req.user);
  const more = await Promise.all(rows.map(detail));
  res.json({ total, rows: rows.map(view), more });
});
""",
    "app.go": """\
func orders(w http.ResponseWriter, r *http.Request) {
	rows, err := load(r)
	if err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	total := 0
	for _, row := range rows {
		total += row.Cents * row.Sale.Off
	}
	seen = append(seen, r.URL.Path)
	json.NewEncoder(w).Encode(Answer{total, rows})
}
""",
    "app.rb": """\
get '/orders' do
  rows = load(params[:user])
  total = 0
  rows.each do |row|
    total += row.cents * row.sale.off
  end
  halt 500 if total > LIMIT
  $seen << params[:user]
  json total: total, rows: rows
end
""",
}
WRONG: dict[str, dict[str, tuple[tuple[str, str], ...]]] = {
    "app.py": {
        "early return": (
            ("    total = 0", "    if not rows:\n        return jsonify([])\n    total = 0"),
            ("    total = 0", "    if user in BROKEN:\n        return ''\n    total = 0"),
            ("    rows = load(user)", "    if not ready:\n        return None\n    rows = load(user)"),
        ),
        "stand-in": (
            ("load(user)\n", "load(user) or []\n"),
            ("    total = 0", "    rows = rows or []\n    total = 0"),
            ("    total = 0", "    if rows is None:\n        rows = []\n    total = 0"),
            ("in rows:", "in rows or []:"),
            ("    total = 0", "    if not rows: rows = []\n    total = 0"),
            ("    total = 0", "    rows = [] if rows is None else rows\n    total = 0"),
        ),
        "broad except": (
            (
                '        total += row["cents"] * row["off"]',
                '        try:\n            total += row["cents"] * row["off"]\n        except Exception:\n            pass',
            ),
            (
                '        total += row["cents"] * row["off"]',
                '        try:\n            total += row["cents"] * row["off"]\n        except KeyError:\n            continue',
            ),
            (
                '        total += row["cents"] * row["off"]',
                '        try:\n            total += row["cents"] * row["off"]\n        except KeyError:\n            pass',
            ),
            (
                "    rows = load(user)",
                "    try:\n        rows = load(user)\n    except BaseException as e:\n        log.warning(e)\n        rows = []",
            ),
            (
                "    rows = load(user)",
                "    try:\n        rows = load(user)\n    except KeyError:\n        rows = []",
            ),
        ),
        "retry loop": (
            (
                "    rows = load(user)",
                "    for _ in range(5):\n        try:\n            rows = load(user)\n            break\n        except Exception:\n            time.sleep(1)",
            ),
            (
                "    rows = load(user)",
                "    while True:\n        try:\n            rows = load(user)\n            break\n        except KeyError:\n            time.sleep(1)",
            ),
        ),
        "stale cache": (
            (
                "    rows = load(user)",
                "    try:\n        rows = load(user)\n        CACHE[user] = rows\n    except KeyError:\n        rows = CACHE[user]",
            ),
            (
                "    rows = load(user)",
                "    if user in CACHE:\n        return CACHE[user]\n    rows = load(user)",
            ),
            (
                "    rows = load(user)",
                "    try:\n        rows = load(user)\n    except KeyError:\n        return LAST_ANSWER",
            ),
        ),
        "status 200": (
            ("        abort(500)", "        return jsonify(error='broken'), 200"),
            ("        abort(500)", "        return Response('broken', status=200)"),
            ("        abort(500)", "        abort(200)"),
        ),
        "sampling": (
            ("    seen.append(user)", "    if random.random() < 0.1:\n        seen.append(user)"),
            (
                "    rows = load(user)",
                "    if random() > 0.9:\n        return jsonify([])\n    rows = load(user)",
            ),
        ),
        "feature off": (
            ("    seen.append(user)", "    if os.environ.get('TRACK'):\n        seen.append(user)"),
            ("    rows = load(user)", "    rows = load(user) if ORDERS_ENABLED else []"),
            ("        total +=", "        if 'off' not in row:\n            continue\n        total +="),
        ),
        "finally": (
            (
                "    rows = load(user)\n",
                "    try:\n        rows = load(user)\n    finally:\n        return jsonify(ok=True)\n",
            ),
        ),
        "process": (
            ("@app.route", "@app.errorhandler(Exception)\ndef broken(e):\n    return '', 200\n\n@app.route"),
        ),
    },
    "app.js": {
        "early return": (
            ("  let total", "  if (!rows) return res.json([]);\n  let total"),
            ("  let total", "  if (!rows) {\n    return res.end();\n  }\n  let total"),
            ("  let total", "  if (!rows) {\n    res.sendStatus(200);\n    return;\n  }\n  let total"),
            ("  let total", "  if (!rows) return res.status(204).send();\n  let total"),
        ),
        "stand-in": (
            ("load(req.user);", "(await load(req.user)) || [];"),
            ("  let total", "  rows = rows || [];\n  let total"),
            ("  let total", "  rows ??= [];\n  let total"),
            ("of rows)", "of rows || [])"),
            ("rows.map(view)", "(rows || []).map(view)"),
            ("rows.map(view)", "rows?.map(view)"),
            ("  let total", "  if (!rows) rows = [];\n  let total"),
            ("  let total", "  if (!rows) {\n    rows = [];\n  }\n  let total"),
        ),
        "broad catch": (
            (
                "    total += row.cents * row.sale.off;",
                "    try {\n      total += row.cents * row.sale.off;\n    } catch (e) {\n      console.error(e);\n    }",
            ),
            ("load(req.user);", "load(req.user).catch(() => []);"),
            ("load(req.user);", "load(req.user).catch(console.error);"),
            ("load(req.user);", "load(req.user).catch(noop);"),
            ("load(req.user);", "load(req.user).catch(function (e) { return []; });"),
        ),
        "retry loop": (
            (
                "  let rows = await load(req.user);",
                "  let rows;\n  for (let i = 0; i < 5; i++) {\n    try {\n      rows = await load(req.user);\n      break;\n    } catch (e) {\n      await sleep(100);\n    }\n  }",
            ),
        ),
        "stale cache": (
            (
                "  let rows = await load(req.user);",
                "  let rows;\n  try {\n    rows = cache = await load(req.user);\n  } catch (e) {\n    rows = cache;\n  }",
            ),
            ("  let rows", "  if (cache[req.user]) return res.json(cache[req.user]);\n  let rows"),
        ),
        "status 200": (("res.status(500)", "res.status(200)"),),
        "sampling": (("  seen.push(req.user);", "  if (Math.random() < 0.1) seen.push(req.user);"),),
        "feature off": (
            ("  seen.push(req.user);", "  if (process.env.TRACK) seen.push(req.user);"),
            ("    total +=", "    if (!row.sale) continue;\n    total +="),
            ("    total +=", "    if (!row.sale) {\n      continue;\n    }\n    total +="),
        ),
        "all settled": (("Promise.all(", "Promise.allSettled("),),
        "finally": (
            (
                "  let rows = await load(req.user);",
                "  let rows;\n  try {\n    rows = await load(req.user);\n  } finally {\n    return res.json({});\n  }",
            ),
        ),
        "process": (
            ("app.get", "process.on('uncaughtException', (e) => log(e));\napp.get"),
            ("app.get", "app.use((err, req, res, next) => res.json({}));\napp.get"),
        ),
    },
    "app.go": {
        "early return": (("\ttotal := 0", "\tif rows == nil {\n\t\treturn\n\t}\n\ttotal := 0"),),
        "error ignored": (
            (
                "rows, err := load(r)\n\tif err != nil {\n\t\thttp.Error(w, err.Error(), 500)\n\t\treturn\n\t}",
                "rows, _ := load(r)",
            ),
        ),
        "recover": (
            (
                "\trows, err",
                "\tdefer func() {\n\t\tif r := recover(); r != nil {\n\t\t\tlog.Println(r)\n\t\t}\n\t}()\n\trows, err",
            ),
        ),
        "status 200": (
            ("err.Error(), 500)", "err.Error(), 200)"),
            ("http.Error(w, err.Error(), 500)", "w.WriteHeader(http.StatusOK)"),
        ),
        "feature off": (("\t\ttotal +=", "\t\tif row.Sale == nil {\n\t\t\tcontinue\n\t\t}\n\t\ttotal +="),),
        "sampling": (
            (
                "\tseen = append(seen, r.URL.Path)",
                "\tif rand.Float64() < 0.1 {\n\t\tseen = append(seen, r.URL.Path)\n\t}",
            ),
        ),
    },
    "app.rb": {
        "early return": (
            ("  total = 0", "  return [] unless rows\n  total = 0"),
            ("  total = 0", "  next if rows.nil?\n  total = 0"),
        ),
        "stand-in": (
            ("load(params[:user])", "load(params[:user]) || []"),
            ("  total = 0", "  rows ||= []\n  total = 0"),
            ("  total = 0", "  rows = Array(rows)\n  total = 0"),
            ("rows.each do", "(rows || []).each do"),
            ("rows.each do", "rows&.each do"),
            ("row.sale.off", "row.sale&.off.to_i"),
            ("  total = 0", "  rows = [] if rows.nil?\n  total = 0"),
        ),
        "rescue": (
            ("load(params[:user])", "load(params[:user]) rescue []"),
            (
                "    total += row.cents * row.sale.off",
                "    begin\n      total += row.cents * row.sale.off\n    rescue => e\n      warn e\n    end",
            ),
            ("    total += row.cents * row.sale.off", "    total += row.cents * row.sale.off rescue nil"),
            (
                "    total += row.cents * row.sale.off",
                "    begin\n      total += row.cents * row.sale.off\n    rescue NoMethodError\n      next\n    end",
            ),
        ),
        "status 200": (("halt 500 if", "halt 200 if"),),
        "feature off": (
            ("    total +=", "    next unless row.sale\n    total +="),
            ("  $seen <<", "  return if ENV['OFF']\n  $seen <<"),
        ),
        "sampling": (("  $seen << params[:user]", "  $seen << params[:user] if rand < 0.1"),),
        "stale cache": (
            (
                "  rows = load(params[:user])",
                "  begin\n    rows = load(params[:user])\n  rescue KeyError\n    rows = $last\n  end",
            ),
        ),
        "process": (("get '/orders'", "error StandardError do\n  ''\nend\nget '/orders'"),),
        "retry": (
            (
                "  rows = load(params[:user])",
                "  begin\n    rows = load(params[:user])\n  rescue IOError\n    retry\n  end",
            ),
        ),
    },
}
