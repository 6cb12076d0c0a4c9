package perenne.pnp.web;

import java.util.Map;
import java.util.Optional;
import perenne.pnp.Health;

/**
 * What a page shows around its content.
 *
 * @param root the context path, before every address
 * @param section first part of the address, to mark the current entry of the navigation
 * @param token of the session, for forms; empty on pages without one
 * @param wishes attributes of the root element by which the style sheet applies a person's preferences
 */
record Frame(
        String root, String section, String token, Optional<Draft> draft, String node, Health.Status database,
        Map<String, String> wishes) {

    Frame applying(Map<String, String> changed) {
        return new Frame(root, section, token, draft, node, database, changed);
    }

    /** The hidden field that every form carries. */
    Html tokenField() {
        return Html.of("<input type=\"hidden\" name=\"%s\" value=\"%s\">", Csrf.FIELD, token);
    }
}
