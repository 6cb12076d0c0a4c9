package perenne.pnp.model;

import java.util.List;

/**
 * One mistake in what somebody sent.
 *
 * @param path the field as path from the outside in: {@code ["preferences", "presentation", "textSize"]}
 * @param detail what is wrong, in words that follow the field's name: "must be true or false"
 */
public record Violation(List<String> path, String detail) {

    /** {@code preferences.presentation.textSize} */
    public String field() {
        return String.join(".", path);
    }

    /** The field as JSON Pointer in a URI fragment (RFC 6901, section 6), as RFC 9457 shows it. */
    public String pointer() {
        StringBuilder pointer = new StringBuilder("#");
        path.forEach(name -> pointer.append('/').append(name.replace("~", "~0").replace("/", "~1")));
        return pointer.toString();
    }

    /** The last name of the path: the name of the form's field. */
    public String key() {
        return path.get(path.size() - 1);
    }
}
