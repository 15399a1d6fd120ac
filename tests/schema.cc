// SPDX-License-Identifier: BSD-2-Clause
#include "schema.h"

#include <fstream>
#include <stdexcept>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

namespace {

using Adapter = valijson::adapters::NlohmannJsonAdapter;

struct Parsed {
    Parsed()
    {
        std::ifstream file(TCPSAGA_SCHEMA);
        if (!file)
            throw std::runtime_error("cannot open " TCPSAGA_SCHEMA);
        const auto document = nlohmann::json::parse(file);
        valijson::SchemaParser(valijson::SchemaParser::kDraft7)
            .populateSchema(Adapter(document), schema);
    }
    valijson::Schema schema;
};

} // namespace

std::string schema_errors(const nlohmann::json& event)
{
    static const Parsed parsed;
    static valijson::Validator validator; // keeps its regular expressions
    valijson::ValidationResults results;
    if (validator.validate(parsed.schema, Adapter(event), &results))
        return "";
    std::string text = "not as docs/schema/event-v1.json says: " + event.dump() + "\n";
    for (valijson::ValidationResults::Error error; results.popError(error);) {
        for (const std::string& step : error.context)
            text += step;
        text += ": " + error.description + "\n";
    }
    return text;
}
