"""HTTP routes of the order service."""
from flask import Flask, jsonify, request

import db
import orders
import payments

app = Flask(__name__)


@app.get("/orders/<int:number>")
def show(number):
    order = db.find_order(number)
    if order is None:
        return jsonify(error="not found"), 404
    return jsonify(orders.summary(order))


@app.post("/orders")
def create():
    order = orders.create(request.get_json(force=True))
    db.save_order(order)
    payments.charge(order)
    return jsonify(orders.summary(order)), 201


@app.get("/reports/daily")
def daily():
    return orders.report(db.orders_of_today())


@app.get("/health")
def health():
    return "ok"
