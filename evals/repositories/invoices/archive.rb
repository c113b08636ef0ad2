require "json"
require "pg"

module Archive
  def self.connection
    Thread.current[:connection] ||= PG.connect(ENV.fetch("DATABASE_URL"), connect_timeout: 3)
  end

  def self.find(id)
    row = connection.exec_params("select body from invoices where id = $1", [id]).first
    row && JSON.parse(row["body"])
  end

  def self.of_customer(id)
    rows = connection.exec_params("select body from invoices where customer = $1", [id])
    rows.map { |row| JSON.parse(row["body"]) }
  end

  def self.save(invoice)
    connection.exec_params("insert into invoices (id, body) values ($1, $2)", [invoice["id"], JSON.generate(invoice)])
  end
end
