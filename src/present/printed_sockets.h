// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <algorithm>
#include <set>

#include "tcpsaga/sockets.h"

namespace tcpsaga {

/// A line each: a socket, or a client with its server, where the first of the two would be.
class PrintedSockets {
public:
    struct Line {
        const SocketRow* row;
        const SocketRow* server; ///< nullptr: it stands alone
    };

    PrintedSockets(const ChosenSockets& sockets, const SocketPairs& pairs)
    {
        std::set<const SocketRow*> told;
        for (const SocketRow* row : sockets) {
            const auto pair = pairs.find(row);
            if (pair == pairs.end())
                lines_.push_back({row, nullptr});
            else if (told.insert(pair->second.client).second)
                lines_.push_back({pair->second.client, pair->second.server});
        }
    }
    [[nodiscard]] bool several_namespaces() const
    {
        const auto elsewhere = [&](const SocketRow* row) {
            return row != nullptr && row->tuple.netns != lines_[0].row->tuple.netns;
        };
        return std::ranges::any_of(lines_, [&](const Line& l) {
            return elsewhere(l.row) || elsewhere(l.server);
        });
    }
    [[nodiscard]] auto begin() const { return lines_.begin(); }
    [[nodiscard]] auto end() const { return lines_.end(); }

private:
    std::vector<Line> lines_;
};

} // namespace tcpsaga
