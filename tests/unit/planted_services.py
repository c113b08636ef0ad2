"""Twelve small services with a planted fault each, and what their logs say. The culprit stands in ⟦brackets⟧.

Each is padded with forty modules that have nothing to do with it, so that not all of it fits a packet.
"""

# ruff: noqa: E501 (code as it is written elsewhere)

from typing import NamedTuple

from railmend.contracts.scan import FindingKind


class Planted(NamedTuple):
    kind: FindingKind
    files: dict[str, str]
    logs: str = ""
    requests: str = ""

    @property
    def culprit(self) -> str:
        return next(text.partition("⟦")[2].partition("⟧")[0] for text in self.files.values() if "⟦" in text)

    @property
    def sources(self) -> dict[str, str]:
        plain = {path: text.replace("⟦", "").replace("⟧", "") for path, text in self.files.items()}
        suffix = "." + next(path for path, text in self.files.items() if "⟦" in text).rpartition(".")[2]
        return {f"{FOLDERS[suffix]}/unrelated{n}{suffix}": FILLERS[suffix](n) for n in range(40)} | plain


def _many(template: str, head: str = "", tail: str = "") -> str:
    return head + "\n".join(template.replace("@", f"{word}") for word in WORDS) + tail


WORDS = (
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda_",
    "mu",
)
FOLDERS = {".py": "shop", ".js": "lib", ".ts": "src", ".go": "internal", ".rb": "lib"}
FILLERS = {
    ".py": lambda n: _many(
        f"\ndef convert_@_{n}(amount, rate):\n    if rate <= 0:\n        raise ValueError('rate')\n"
        "    for part in amount:\n        kept.append(round(part.price * rate, 2))\n    return amount\n"
    ),
    ".js": lambda n: _many(
        f"\nfunction convert_@_{n}(amount, rate) {{\n  if (rate <= 0) throw new Error('rate');\n"
        "  for (const part of amount) {\n    kept.push(Math.round(part.price * rate));\n  }\n  return amount;\n}\n",
        tail="\nmodule.exports = {};\n",
    ),
    ".ts": lambda n: _many(
        f"\nexport function convert_@_{n}(amount: Part[], rate: number): Part[] {{\n"
        "  if (rate <= 0) throw new Error('rate');\n  for (const part of amount) {\n"
        "    kept.push(Math.round(part.price * rate));\n  }\n  return amount;\n}\n"
    ),
    ".go": lambda n: _many(
        f'\nfunc convert@{n}(amount []Part, rate float64) error {{\n\tif rate <= 0 {{\n\t\treturn errors.New("rate")\n'
        "\t}\n\tfor i := range amount {\n\t\tkept.append(amount[i].Price * rate)\n\t}\n\treturn nil\n}\n",
        head="package internal\n",
    ),
    ".rb": lambda n: _many(
        f"\ndef convert_@_{n}(amount, rate)\n  raise ArgumentError, 'rate' if rate <= 0\n\n"
        "  amount.each do |part|\n    kept.push((part.price * rate).round(2))\n  end\nend\n"
    ),
}

SERVICES = {
    "fastapi: a slow route calls a query for each row": Planted(
        FindingKind.LATENCY,
        {
            "shop/api/orders.py": """from fastapi import APIRouter, Depends

from shop.repository.order_store import load_orders

router = APIRouter(prefix="/orders")


@router.get("/{customer_id}/history", response_model=list[Order])
async def history(customer_id: int, session=Depends(session)):
    return await load_orders(session, customer_id)
""",
            "shop/repository/order_store.py": """from sqlalchemy import select


⟦async def load_orders(session, customer_id):
    orders = (await session.scalars(select(Order).where(Order.customer_id == customer_id))).all()
    for order in orders:
        order.lines = (await session.scalars(select(Line).where(Line.order_id == order.id))).all()
        for line in order.lines:
            line.product = await session.get(Product, line.product_id)
    return orders⟧
""",
        },
        requests="GET /orders/<id>/history -> 200: 812x (64.0%), p50 2100 ms, p95 8100 ms",
    ),
    "flask: a blueprint's view fails": Planted(
        FindingKind.ERROR_RATE,
        {
            "shop/coupons/views.py": """from flask import Blueprint, request

bp = Blueprint("coupons", __name__, url_prefix="/coupons")


⟦@bp.route("/apply", methods=["POST"])
def apply():
    code = request.json["code"]
    coupon = Coupon.query.filter_by(code=code).first()
    basket = current_basket()
    basket.total -= basket.total * coupon.percent / 100
    return {"total": basket.total}⟧
""",
        },
        logs="""41x AttributeError: 'NoneType' object has no attribute 'percent'
Traceback (most recent call last):
  File "/app/.venv/lib/python3.12/site-packages/flask/app.py", line 880, in full_dispatch_request
  File "/app/shop/coupons/views.py", line 11, in apply
    basket.total -= basket.total * coupon.percent / 100""",
    ),
    "django: a class-based view behind an include": Planted(
        FindingKind.LATENCY,
        {
            "shop/urls.py": """from django.urls import include, path
urlpatterns = [path("reports/", include("shop.reports.urls"))]
""",
            "shop/reports/urls.py": """from django.urls import path
from . import views
urlpatterns = [path("monthly/<int:year>/", views.MonthlyReport.as_view(), name="monthly")]
""",
            "shop/reports/views.py": """from django.views import View


⟦class MonthlyReport(View):
    def get(self, request, year):
        totals = {}
        for month in range(1, 13):
            for invoice in Invoice.objects.all():
                if invoice.date.year == year and invoice.date.month == month:
                    totals[month] = totals.get(month, 0) + invoice.amount
        return JsonResponse(totals)⟧


class YearlyReport(View):
    pass
""",
        },
        requests="GET /reports/monthly/{id}: 60x (3.0% of all) [200 60x], p50 9000 ms, p95 14000 ms",
    ),
    "celery: state of a module grows, and nothing names it": Planted(
        FindingKind.MEMORY_LEAK,
        {
            "shop/worker.py": """from celery import Celery

app = Celery("shop")
SEEN = []


⟦@app.task
def import_feed(url):
    global SEEN
    for row in fetch_rows(url):
        SEEN.append(row)
        cache.setdefault(row["id"], []).append(row)
    return len(SEEN)⟧
""",
        },
    ),
    "express: a router's controller waits for each call in turn": Planted(
        FindingKind.LATENCY,
        {
            "server.js": """const express = require('express');
const app = express();
app.use('/api/v1/products', require('./lib/routes/products'));
app.listen(process.env.PORT);
""",
            "lib/routes/products.js": """const router = require('express').Router();
const auth = require('../middleware/auth');
const controller = require('../controllers/product.controller');

router.get('/', auth, controller.list);
router.get('/:slug/related', auth.optional, controller.related);
module.exports = router;
""",
            "lib/controllers/product.controller.js": """const db = require('../db');

exports.list = async (req, res) => res.json(await db.products());

⟦exports.related = async (req, res) => {
  const product = await db.product(req.params.slug);
  const related = [];
  for (const tag of product.tags) {
    for (const id of await db.idsByTag(tag)) {
      related.push(await db.productById(id));
    }
  }
  res.json(related);
};⟧
""",
        },
        requests="GET /api/v1/products/{name}/related: 900x (45.0% of all) [200 900x], p50 900 ms, p95 4100 ms",
    ),
    "fastify: a timer keeps what it reads, and nothing names it": Planted(
        FindingKind.MEMORY_LEAK,
        {
            "lib/plugins/rates.js": """const fp = require('fastify-plugin');
const rates = new Map();

module.exports = fp(async (fastify) => {
  fastify.decorate('rates', rates);
  ⟦setInterval(async () => {
    const fresh = await fetch(fastify.config.ratesUrl).then((answer) => answer.json());
    rates.set(Date.now(), fresh);
    fastify.log.debug({ size: rates.size }, 'rates');
  }, 1000);⟧
});
""",
        },
    ),
    "nest: a compiled service fails": Planted(
        FindingKind.ERROR_RATE,
        {
            "src/invoices/invoices.service.ts": """import { Injectable } from '@nestjs/common';

@Injectable()
export class InvoicesService {
  constructor(private readonly store: InvoiceStore) {}

⟦  async close(id: string): Promise<Invoice> {
    const invoice = await this.store.find(id);
    const total = invoice.lines.reduce((sum, line) => sum + line.net * (1 + line.tax.rate), 0);
    return this.store.save({ ...invoice, total, closed: true });
  }⟧

  async open(id: string): Promise<Invoice> {
    return this.store.find(id);
  }
}
""",
        },
        logs="""12x [Nest] 1 - ERROR [ExceptionsHandler] Cannot read properties of undefined (reading 'rate')
TypeError: Cannot read properties of undefined (reading 'rate')
    at /app/dist/invoices/invoices.service.js:41:80
    at Array.reduce (<anonymous>)
    at InvoicesService.close (/app/dist/invoices/invoices.service.js:41:37)
    at /app/node_modules/@nestjs/core/router/router-execution-context.js:46:28""",
    ),
    "next: a route's file fails": Planted(
        FindingKind.ERROR_RATE,
        {
            "src/app/api/teams/[teamId]/members/route.ts": """import { db } from '@/lib/db';

export async function GET(request: Request, { params }: Context) {
  return Response.json(await db.members(params.teamId));
}

⟦export async function POST(request: Request, { params }: Context) {
  const body = await request.json();
  const team = await db.team(params.teamId);
  const member = await db.addMember(team!.id, body.user.email.toLowerCase());
  return Response.json(member, { status: 201 });
}⟧
""",
        },
        requests="POST /api/teams/<uuid>/members -> 500: 33x (61.1%), p50 12 ms, p95 20 ms",
    ),
    "chi: a method of a handler is slow": Planted(
        FindingKind.LATENCY,
        {
            "internal/http/router.go": """package http

func (s *Server) Routes() http.Handler {
	r := chi.NewRouter()
	r.Route("/v1", func(r chi.Router) {
		r.With(s.auth).Get("/search", s.search)
		r.Post("/search/reindex", s.reindex)
	})
	return r
}
""",
            "internal/http/search.go": """package http

⟦// search answers with all documents that contain each word.
func (s *Server) search(w http.ResponseWriter, r *http.Request) {
	words := strings.Fields(r.URL.Query().Get("q"))
	var found []Document
	for _, document := range s.store.All() {
		for _, word := range words {
			if regexp.MustCompile("(?i)" + word).MatchString(document.Body) {
				found = append(found, document)
			}
		}
	}
	json.NewEncoder(w).Encode(found)
}⟧
""",
        },
        requests="GET /v1/search -> 200: 400x (80.0%), p50 1200 ms, p95 5000 ms",
    ),
    "net/http: a goroutine panics": Planted(
        FindingKind.CRASH_LOOP,
        {
            "internal/queue/consumer.go": """package queue

type Consumer struct{ handlers map[string]Handler }

⟦func (c *Consumer) dispatch(message Message) error {
	handler := c.handlers[message.Type]
	if err := handler.Handle(message); err != nil {
		return fmt.Errorf("handle %s: %w", message.Type, err)
	}
	return nil
}⟧
""",
        },
        logs="""7x panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x6a1f20]
goroutine 19 [running]:
  shop/internal/queue.(*Consumer).dispatch(0xc000010000, {0xc0000141e0, 0x5}) /src/internal/queue/consumer.go:7 +0x60
  created by shop/internal/queue.(*Consumer).Run in goroutine 1 /src/internal/queue/run.go:12 +0x85""",
    ),
    "rails: a resource's action asks for each row": Planted(
        FindingKind.LATENCY,
        {
            "config/routes.rb": """Rails.application.routes.draw do
  namespace :admin do
    resources :shipments, only: %i[index show]
  end
end
""",
            "app/controllers/admin/shipments_controller.rb": """class Admin::ShipmentsController < ApplicationController
  before_action :authenticate

⟦  def index
    @shipments = Shipment.where(state: params[:state]).order(:created_at)
    render json: @shipments.map { |shipment|
      { id: shipment.id, carrier: shipment.carrier.name, parcels: shipment.parcels.map(&:weight).sum }
    }
  end⟧

  def show
    render json: Shipment.find(params[:id])
  end
end
""",
        },
        requests="GET /admin/shipments -> 200: 90x (12.0%), p50 3000 ms, p95 7000 ms",
    ),
    "sinatra: a block of a route fails": Planted(
        FindingKind.ERROR_RATE,
        {
            "lib/shop.rb": """require 'sinatra/base'

class Shop < Sinatra::Base
  get '/health' do
    'ok'
  end

⟦  post '/basket/:id/items' do
    basket = Basket[params[:id]]
    item = JSON.parse(request.body.read)
    basket.items << Item.new(item.fetch('sku'), Integer(item['count']))
    basket.save
    basket.to_json
  end⟧
end
""",
        },
        logs="""5x ArgumentError - invalid value for Integer(): "":
/app/lib/shop.rb:11:in `Integer'
/app/lib/shop.rb:11:in `block in <class:Shop>'
/usr/local/bundle/gems/sinatra-4.0.0/lib/sinatra/base.rb:1804:in `call'""",
    ),
}  # fmt: skip
