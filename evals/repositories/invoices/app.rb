require "sinatra"
require_relative "invoice"
require_relative "archive"

get "/invoices/:id" do
  invoice = Archive.find(params[:id])
  halt 404 unless invoice
  Invoice.text(invoice)
end

get "/customers/:id/invoices" do
  Archive.of_customer(params[:id]).map { |invoice| Invoice.text(invoice) }.join("\n")
end

post "/invoices" do
  Archive.save(JSON.parse(request.body.read))
  status 201
end

get("/health") { "ok" }
