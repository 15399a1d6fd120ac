// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tcpsaga {

/// Who makes, and who gets, the most connections. Bounded: when there are too many keys, those
/// with the fewest are forgotten; counts of the others stay exact.
template <class Key, class What, class Hash>
class Tops {
public:
    /// The entry to count at; `What` has `made` and `got`. Allocates for a new key only.
    What& at(const Key& key)
    {
        if (entries_.size() >= most && !entries_.contains(key))
            forget_the_least();
        return entries_[key];
    }

    /// The largest sums, largest first.
    [[nodiscard]] std::vector<std::pair<Key, What>> first(std::size_t n) const
    {
        std::vector<std::pair<Key, What>> all(entries_.begin(), entries_.end());
        const auto end = all.begin() + static_cast<std::ptrdiff_t>(std::min(n, all.size()));
        std::partial_sort(all.begin(), end, all.end(), [](const auto& a, const auto& b) {
            const auto of_a = a.second.made + a.second.got;
            const auto of_b = b.second.made + b.second.got;
            return of_a != of_b ? of_a > of_b : a.first < b.first;
        });
        all.erase(end, all.end());
        return all;
    }

private:
    static constexpr std::size_t most = 4096;

    /// All but a quarter, so that it is not done often.
    void forget_the_least()
    {
        const auto kept = first(most / 4);
        entries_.clear();
        entries_.insert(kept.begin(), kept.end());
    }

    std::unordered_map<Key, What, Hash> entries_;
};

} // namespace tcpsaga
