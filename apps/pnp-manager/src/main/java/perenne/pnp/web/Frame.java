package perenne.pnp.web;

import java.util.Map;
import java.util.Optional;
import perenne.pnp.Health;

/**
 * What a page shows around its content.
 *
 * @param root the context path, before every address
 * @param section first part of the address, to mark the current entry of the navigation
 * @param wishes attributes of the root element by which the style sheet applies a person's preferences
 */
record Frame(
        String root, String section, Optional<Draft> draft, String node, Health.Status database,
        Map<String, String> wishes) {

    Frame applying(Map<String, String> changed) {
        return new Frame(root, section, draft, node, database, changed);
    }
}
