module Invoice
  VAT = { "DE" => 19, "FR" => 20, "AT" => 20 }.freeze

  def self.vat(country)
    VAT.fetch(country, 0)
  end

  def self.total(invoice)
    net = invoice["lines"].sum { |line| line["cents"] * line["count"] }
    net + net * vat(invoice["country"]) / 100
  end

  def self.address(customer)
    [customer["name"], customer["street"], customer["city"]].compact.join(", ")
  end

  def self.text(invoice)
    "#{invoice["id"]} #{address(invoice["customer"] || {})} #{format("%.2f", total(invoice) / 100.0)}"
  end
end
