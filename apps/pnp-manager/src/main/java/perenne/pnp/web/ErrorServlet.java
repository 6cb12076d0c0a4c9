package perenne.pnp.web;

import jakarta.servlet.RequestDispatcher;
import jakarta.servlet.annotation.WebServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;

/** The page for every failure; web.xml sends failures here. */
@WebServlet("/error")
public class ErrorServlet extends PageServlet {

    private static final long serialVersionUID = 1;

    @Override
    protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
        int status = request.getAttribute(RequestDispatcher.ERROR_STATUS_CODE) instanceof Integer code ? code : 404;
        String title = switch (status) {
            case 403 -> "The form has expired";
            case 404 -> "There is nothing here";
            case 503 -> "The database does not answer";
            default -> "Something went wrong";
        };
        String advice = switch (status) {
            case 403 -> "Its session has ended or has changed. Open the page again and send the form once more.";
            case 404 -> "The address is wrong, or the person has been deleted.";
            case 503 -> "Nothing is lost: a draft in progress is kept. Try again in a few seconds.";
            default -> "It is in the server's log. Try again, or go back to the list.";
        };
        Frame frame = frame(request, "");
        send(response, status, Layout.render(frame, title, Html.of("""
                <h1>%s</h1>
                <p class="lead">%s</p>
                <p><a class="button primary" href="%s/people">Go to the list</a></p>
                """, title, advice, frame.root())));
    }
}
