import express from "express";
import { search, suggest } from "./search.js";
import { load, product } from "./store.js";
import { notify } from "./mailer.js";
import { remember } from "./cache.js";

const app = express();
app.use(express.json());

app.get("/products/:id", async (request, response, next) => {
  try {
    const found = await remember(request.params.id, () => product(request.params.id));
    if (!found) return response.status(404).json({ error: "not found" });
    response.json(found);
  } catch (error) {
    next(error);
  }
});

app.get("/search", async (request, response, next) => {
  try {
    response.json(search(await load(), request.query.q ?? ""));
  } catch (error) {
    next(error);
  }
});

app.get("/suggest", async (request, response, next) => {
  try {
    response.json(suggest(await load(), request.query.q ?? ""));
  } catch (error) {
    next(error);
  }
});

app.post("/questions", (request, response) => {
  notify(request.body);
  response.status(202).end();
});

app.get("/health", (_, response) => response.send("ok"));
app.listen(process.env.PORT ?? 3000);
